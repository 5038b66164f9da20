/** IngestAPI: the way in, for those who may write the datasets. docs/protocol.md §4 */
import type { HandlerContext, MethodImpl } from "@connectrpc/connect";
import type { Identity } from "../../auth/access.ts";
import { AetherError } from "../../base/errors.ts";
import { LABEL_LENGTH_MAX, LABELS_MAX, MESSAGE_LENGTH_MAX, TAGS_PER_PUSH_MAX } from "../../base/limits.ts";
import type { TagReference } from "../../dataset/contract.ts";
import type { PushAttempt } from "../../dataset/ingest/ingest.ts";
import { formatChunking } from "../../format/chunking.ts";
import { DIGEST_BYTES, digestBytes, digestFromBytes, type Digest } from "../../format/digest.ts";
import { parseTag } from "../../format/reference.ts";
import { IngestAPI, type PublishRequest, type TagName } from "../../gen/aetherfs/hub/v1/ingest_pb.ts";
import { rpcService, type RpcService } from "../../rpc/rpc-service.ts";
import { BODY_BYTES_MAX, plainPage, receivedFrame, receivedPage } from "../frame-message.ts";
import { NUMBER_MAX } from "../../store/keys.ts";
import type { Services } from "../services.ts";
import { allow, identify } from "./caller.ts";
import { checkWriteId } from "./write-id.ts";

type Methods = typeof IngestAPI.method;

/** Digests of one Missing, and of one CanBase, at most. */
const ASKED_MAX = 65_536;

/** Sessions of producers. Whoever knows a session's id may use it: it is unguessable, and told only to who began it. */
export function ingestService(services: Services): RpcService {
  const { sessions } = services;
  return rpcService(IngestAPI, {
    prepare: prepare(services),
    begin: begin(services),
    renew: async ({ session }, context) => {
      await identify(services, context);
      sessions.use(session);
      return {};
    },
    missing: async ({ session, digests }, context) => {
      await identify(services, context);
      const missing = await sessions.use(session).missing(split(digests), { signal: context.signal });
      return { missing: [...missing] };
    },
    canBase: canBase(services),
    putFrames: async ({ session, sequence, frames }, context) => {
      await identify(services, context);
      const { signal } = context;
      const received = frames.map(receivedFrame);
      const { done } = await sessions.use(session).putFrames(Number(sequence), received, { signal });
      await done;
      return {};
    },
    putPages: async ({ session, sequence, pages, frames }, context) => {
      await identify(services, context);
      const received = [...pages.map(plainPage), ...frames.map(receivedPage)];
      await sessions.use(session).putPages(Number(sequence), received, { signal: context.signal });
      return {};
    },
    publish: publish(services),
    abort: async ({ session }, context) => {
      await identify(services, context);
      await sessions.use(session).abort();
      return {};
    },
  });
}

function canBase(services: Services): MethodImpl<Methods["canBase"]> {
  return async ({ session, deltas }, context) => {
    await identify(services, context);
    const used = services.sessions.use(session);
    const bytes = deltas.reduce((sum, { bases }) => sum + bases.byteLength, 0);
    if (deltas.length > ASKED_MAX || bytes > ASKED_MAX * DIGEST_BYTES) throw askedTooMany();
    const answers: boolean[] = [];
    for (const { bases, decodedBytes } of deltas) {
      answers.push(await used.canBase(split(bases), Number(decodedBytes), { signal: context.signal }));
    }
    return { canBase: answers };
  };
}

function prepare(services: Services): MethodImpl<Methods["prepare"]> {
  return async (request, context) => {
    const { tags } = await allowTags(services, context, request.tags);
    const { signal } = context;
    const { storeId, chunking, predecessors, heads } = await services.sessions.prepare(tags, { signal });
    return {
      storeId,
      chunking: chunking === undefined ? "" : formatChunking(chunking),
      predecessors: predecessors.map(digestBytes) as Uint8Array<ArrayBuffer>[],
      heads: heads.map(BigInt),
    };
  };
}

function begin(services: Services): MethodImpl<Methods["begin"]> {
  return async (request, context) => {
    const { tags, identity } = await allowTags(services, context, request.tags);
    const { blockBytes, dryRun, reference } = request;
    const session = {
      tags,
      publisher: publisherOf(request.publisher, identity),
      blockBytes: blockBytes === 0n ? undefined : Number(blockBytes),
      dryRun,
      reference: digestOrNone(reference),
    };
    const { id, ttlSeconds } = await services.sessions.begin(session, { signal: context.signal });
    return { session: id, ttlSeconds, bodyBytesMax: BODY_BYTES_MAX, takesManifests: true };
  };
}

function publish(services: Services): MethodImpl<Methods["publish"]> {
  return async (request, context) => {
    const { tags, identity } = await allowTags(services, context, request.tags);
    checkAnnotations(request);
    const goals = tags.map((tag, index) => ({ ...tag, expected: expectedOf(request.tags[index]) }));
    const { root, inlinePages, base, message, labels, manifest } = request;
    const session = services.sessions.use(request.session);
    const publisher = publisherOf(request.publisher, identity);
    const content = { root, inlinePages, base: digestOrNone(base), manifest };
    const publication = { ...content, tags: goals, publisher, message, labels, attempt: attemptOf(request) };
    const { version, moved, totals } = await session.publish(publication, { signal: context.signal });
    return {
      version: digestBytes(version),
      moved: [...moved],
      storedBytes: BigInt(totals.storedBytes),
      manifestBytes: BigInt(totals.manifestBytes),
    };
  };
}

function expectedOf(name: TagName | undefined): Digest | null | undefined {
  return name?.expected === undefined ? undefined : (digestOrNone(name.expected) ?? null);
}

/** The tags, once the caller may write all their datasets. */
async function allowTags(
  services: Services,
  context: HandlerContext,
  names: readonly TagName[],
): Promise<{ readonly tags: readonly TagReference[]; readonly identity: Identity }> {
  if (names.length === 0 || names.length > TAGS_PER_PUSH_MAX) {
    throw new AetherError("ARGUMENT_INVALID", `a push sets from 1 to ${TAGS_PER_PUSH_MAX} tags`);
  }
  const tags: TagReference[] = [];
  for (const { name, tag } of names) {
    const allowed = await allow(services, context, "write", name);
    tags.push({ name: allowed.name, tag: parseTag(tag) });
  }
  return { tags, identity: await identify(services, context) };
}

/** What the producer calls itself; else who it is. */
function publisherOf(publisher: string, identity: Identity): string {
  if (publisher.length > LABEL_LENGTH_MAX) {
    throw new AetherError("LIMIT_EXCEEDED", `a publisher has at most ${LABEL_LENGTH_MAX} characters`);
  }
  return publisher === "" ? identity.name : publisher;
}

function checkAnnotations({ message, labels }: PublishRequest): void {
  const all = Object.entries(labels);
  const tooLong = all.some(([key, value]) => Math.max(key.length, value.length) > LABEL_LENGTH_MAX);
  if (message.length > MESSAGE_LENGTH_MAX || all.length > LABELS_MAX || tooLong) {
    throw new AetherError("LIMIT_EXCEEDED", "the message or the labels are too long");
  }
}

/** Errors: ARGUMENT_INVALID. */
function attemptOf({ writeId, heads, tags }: PublishRequest): PushAttempt | undefined {
  if (writeId === "") return undefined;
  checkWriteId(writeId);
  const isKnown = heads.length === tags.length && heads.every((number) => number <= BigInt(NUMBER_MAX));
  if (heads.length > 0 && !isKnown) {
    throw new AetherError("ARGUMENT_INVALID", "heads are a number for each tag");
  }
  return { writeId, heads: heads.map(Number) };
}

function split(joined: Uint8Array): Digest[] {
  const count = joined.byteLength / DIGEST_BYTES;
  if (!Number.isInteger(count)) {
    throw new AetherError("ARGUMENT_INVALID", `digests have ${DIGEST_BYTES} bytes each`);
  }
  if (count > ASKED_MAX) throw askedTooMany();
  return Array.from({ length: count }, (_, index) => digestFromBytes(joined, index * DIGEST_BYTES));
}

function askedTooMany(): AetherError {
  return new AetherError("LIMIT_EXCEEDED", `one call asks for at most ${ASKED_MAX} digests`);
}

function digestOrNone(bytes: Uint8Array): Digest | undefined {
  if (bytes.byteLength === 0) return undefined;
  if (bytes.byteLength === DIGEST_BYTES) return digestFromBytes(bytes);
  throw new AetherError("ARGUMENT_INVALID", `a digest has ${DIGEST_BYTES} bytes`);
}
