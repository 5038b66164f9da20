/** A folder of a version as one file: `?archive=tar`, `tar.zst` or `zip`. */
import { KiB } from "../../base/limits.ts";
import type { DirectoryNode, Tree } from "../../vfs/tree.ts";
import type { Answer } from "../answers.ts";
import { Body } from "../body.ts";
import { checkConditions } from "../conditions.ts";
import { guardsOf } from "../content-type.ts";
import type { HttpRequest, HttpResponse } from "../http-handler.ts";
import { ArchiveSource } from "./archive/archive-source.ts";
import { TAR_LAYOUT, tarOf } from "./archive/tar.ts";
import { ZIP_LAYOUT, zipOf } from "./archive/zip.ts";
import { begun } from "./begun.ts";
import { code } from "../codings.ts";
import { attachment } from "./disposition.ts";
import type { ArchiveKind } from "./fs-query.ts";

/** Small pieces are sent together. */
const JOINED_BYTES = 64 * KiB;
const SMALL_BYTES = JOINED_BYTES / 4;

const KINDS = {
  tar: { type: "application/x-tar", layout: TAR_LAYOUT, isExact: true },
  // What a compressor makes of the same bytes may change with its version.
  "tar.zst": { type: "application/zstd", layout: `${TAR_LAYOUT}.zst`, isExact: false },
  zip: { type: "application/zip", layout: ZIP_LAYOUT, isExact: true },
} as const;

/** What answering takes. */
export interface ArchiveAnswer {
  readonly tree: Tree;
  readonly folder: DirectoryNode;
  readonly kind: ArchiveKind;
  /** For Cache-Control. */
  readonly cacheControl: string;
  /** The name to save it under; undefined or "": one made of the dataset's, the tag's and the folder's. */
  readonly download: string | undefined;
  readonly answer: Answer;
}

/**
 * Answers a GET or HEAD with an archive that is made while it is sent. Errors: HUB_BUSY; those of
 * the archive.
 */
export async function sendArchive(
  request: HttpRequest,
  response: HttpResponse,
  { tree, folder, kind, cacheControl, download, answer }: ArchiveAnswer,
): Promise<void> {
  const { type, layout, isExact } = KINDS[kind];
  const etag = `${isExact ? "" : "W/"}"${folder.version.digest}.${layout}"`;
  const about = { etag, "cache-control": cacheControl };
  const status = checkConditions(request.headers, { etag, modifiedSeconds: undefined });
  if (status !== 200) {
    response.writeHead(status, status === 304 ? about : { ...about, "content-length": 0 });
    response.end();
    return;
  }
  const name = download === undefined || download === "" ? `${nameOf(folder)}.${kind}` : download;
  const shape = {
    ...about,
    "accept-ranges": "none",
    "content-type": type,
    "content-disposition": attachment(name),
    ...guardsOf(type),
  };
  if (request.method === "HEAD") {
    response.writeHead(200, shape);
    response.end();
    return;
  }
  const source = new ArchiveSource(tree, folder, answer);
  await answer.stream();
  if (kind === "tar.zst") await answer.takeCoder();
  const plain = joined(kind === "zip" ? zipOf(source) : tarOf(source));
  const content = await begun(kind === "tar.zst" ? code(answer.wanted(plain), "zstd") : plain);
  response.writeHead(200, shape);
  await new Body(response).send(answer.sent(content));
}

function nameOf({ name, tag, version, path }: DirectoryNode): string {
  const last = path === "" ? [] : [path.slice(path.lastIndexOf("/") + 1)];
  return [name.replace(/^@/, "").replaceAll("/", "-"), tag ?? version.digest.slice(0, 12), ...last].join("-");
}

/** The same bytes in fewer pieces. */
async function* joined(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.allocUnsafe(JOINED_BYTES);
  let used = 0;
  for await (const piece of pieces) {
    const isSmall = piece.byteLength <= SMALL_BYTES;
    if (used > 0 && (!isSmall || used + piece.byteLength > JOINED_BYTES)) {
      yield buffer.subarray(0, used);
      used = 0;
    }
    if (isSmall) {
      buffer.set(piece, used);
      used += piece.byteLength;
    } else {
      yield piece;
    }
  }
  if (used > 0) yield buffer.subarray(0, used);
}
