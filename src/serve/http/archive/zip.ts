/** A folder as a zip archive, whose members are stored as they are. */
import { crc32 } from "node:zlib";
import { must } from "../../../base/assert.ts";
import { AetherError } from "../../../base/errors.ts";
import type { Member, Members } from "./archive-source.ts";
import { descriptor, directoryHeader, endOf, localHeader, type ZipMember } from "./zip-records.ts";

/** Four bytes of each are remembered until the end. */
const ENTRIES_MAX = 4_000_000;
const CHECKSUMS_EACH = 65_536;

/** What differs from archive to archive of another layout: goes into entity tags. */
export const ZIP_LAYOUT = "zip1";

/**
 * The archive in pieces, each of which holds until the next is asked for. The same folder gives the same bytes, always: a change of them is
 * another ZIP_LAYOUT. Errors: LIMIT_EXCEEDED; those of the source.
 */
export async function* zipOf(source: Members): AsyncGenerator<Uint8Array> {
  const checksums = new Checksums();
  let offset = 0;
  for await (const member of source.members()) {
    const zipMember = zipMemberOf(member);
    let crc = zipMember.crc ?? 0;
    yield localHeader(zipMember);
    if (zipMember.crc === undefined) {
      for await (const piece of member.content()) {
        crc = crc32(piece, crc);
        yield piece;
      }
      yield descriptor(zipMember.size, crc);
    } else if (member.entry.kind === "symlink") {
      yield Buffer.from(member.entry.target);
    }
    checksums.push(crc);
    offset += lengthOf(zipMember);
  }
  const directoryAt = offset;
  let [at, bytes, count] = [0, 0, 0];
  for await (const member of source.entries()) {
    const zipMember = zipMemberOf(member);
    const header = directoryHeader(zipMember, checksums.at(count), at);
    at += lengthOf(zipMember);
    bytes += header.byteLength;
    count++;
    yield header;
  }
  yield endOf(count, bytes, directoryAt);
}

/** All that it takes before the directory. */
function lengthOf(member: ZipMember): number {
  const after = member.crc === undefined ? descriptor(member.size, 0).byteLength : 0;
  return localHeader(member).byteLength + member.size + after;
}

function zipMemberOf({ entry, name }: Omit<Member, "content">): ZipMember {
  if (entry.kind === "symlink") {
    const target = Buffer.from(entry.target);
    return { entry, name, size: target.byteLength, crc: crc32(target) };
  }
  const size = entry.kind === "file" ? entry.size : 0;
  return { entry, name, size, crc: size === 0 ? 0 : undefined };
}

/** The members' CRC-32s, in their order. */
class Checksums {
  readonly #parts: Uint32Array[] = [];
  #count = 0;

  push(crc: number): void {
    if (this.#count === ENTRIES_MAX) {
      throw new AetherError("LIMIT_EXCEEDED", `a zip has at most ${ENTRIES_MAX} entries: take a tar`);
    }
    const place = this.#count % CHECKSUMS_EACH;
    if (place === 0) this.#parts.push(new Uint32Array(CHECKSUMS_EACH));
    must(this.#parts.at(-1), "there is room")[place] = crc;
    this.#count++;
  }

  at(index: number): number {
    const part = this.#parts[Math.floor(index / CHECKSUMS_EACH)];
    return must(part?.[index % CHECKSUMS_EACH], "every member has one");
  }
}
