/** What a hub tells of its datasets, as records. What it answers is checked. proto/aetherfs/hub/v1/catalog.proto */
import { AetherError } from "../../base/errors.ts";
import type { TagPointer } from "../../dataset/datasets.ts";
import type { Resolved } from "../../dataset/resolve.ts";
import type { TagCommit } from "../../dataset/tags.ts";
import { parseDigest } from "../../format/digest.ts";
import type { EventRecord, HistoryRecord, TagState } from "../../format/record.ts";
import { parseDatasetName, parseTag } from "../../format/reference.ts";
import type {
  Event,
  HistoryEntry,
  ResolveResponse,
  TagChangeResponse,
  TagEntry,
} from "../../gen/aetherfs/hub/v1/catalog_pb.ts";

const STATES: readonly string[] = ["staged", "announced", "pinned", "deleted"] satisfies TagState[];

/** `read` of an answer of `hub`. Errors: INTERNAL when it is none. */
export function reading<T>(hub: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : "";
    throw new AetherError("INTERNAL", `the hub ${hub} answered with what no hub says: ${why}`, {
      data: { hub },
      cause,
    });
  }
}

/** A change of a tag. Throws whatever fits. */
export function recordOf(entry: HistoryEntry | undefined): HistoryRecord {
  if (entry === undefined) throw new Error("an entry is missing");
  const { number, state, digest, previous, time, publisher, message, labels, writeId, files, bytes } = entry;
  return {
    number: Number(number),
    state: stateOf(state),
    digest: parseDigest(digest),
    previous: previous === "" ? null : parseDigest(previous),
    time,
    publisher,
    message,
    labels,
    writeId,
    files: Number(files),
    bytes: Number(bytes),
  };
}

/** A tag and what made it point where it does. */
export function pointerOf({ tag, entry }: TagEntry): TagPointer {
  return { tag: parseTag(tag), record: recordOf(entry) };
}

/** What a reference means. */
export function resolvedOf({ name, digest, tag, entry }: ResolveResponse): Resolved {
  const isTag = tag !== "";
  return {
    name: parseDatasetName(name),
    version: parseDigest(digest),
    tag: isTag ? parseTag(tag) : undefined,
    record: isTag ? recordOf(entry) : undefined,
  };
}

/** What became of a change that was asked for. */
export function commitOf({ entry, moved }: TagChangeResponse): TagCommit {
  return { record: recordOf(entry), moved };
}

/** A change of a dataset. */
export function eventOf({ sequence, tag, number, state, digest, time }: Event): EventRecord {
  return {
    sequence: Number(sequence),
    kind: "tag",
    tag: parseTag(tag),
    number: Number(number),
    state: stateOf(state),
    digest: parseDigest(digest),
    time,
  };
}

/** A list's pages, one after another. `ask` gives the page of a token. */
export async function* pages<T>(
  ask: (token: string) => Promise<{ readonly items: readonly T[]; readonly next: string }>,
): AsyncGenerator<T> {
  let token = "";
  do {
    const { items, next } = await ask(token);
    yield* items;
    token = next;
  } while (token !== "");
}

function stateOf(text: string): TagState {
  if (STATES.includes(text)) return text as TagState;
  throw new Error(`"${text}" is no state`);
}
