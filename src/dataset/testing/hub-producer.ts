/** A producer that pushes to sessions of the same process, for tests. */
import type { Ingest, IngestSession, SessionOptions } from "../ingest/ingest.ts";
import { CODECS } from "../../format/frame.ts";
import { joinDigests } from "../ingest/block-packer.ts";
import type { HubSession, IngestSessions, ReceivedFrame, ReceivedPage } from "../ingest/sessions.ts";
import type { IngestFrame } from "../ingest/ingest.ts";
import type { CallOptions } from "../../store/block-store.ts";

/** The way in through sessions; `folder` is none, as it is to a client. */
export function producerOf(sessions: IngestSessions): Ingest {
  return {
    folder: undefined,
    prepare: (tags, options = {}) => sessions.prepare(tags, options),
    begin: async (session: SessionOptions, options: CallOptions = {}) => {
      const { id } = await sessions.begin(session, options);
      return producerSession(() => sessions.use(id));
    },
  };
}

/** A frame as it goes over the wire. */
export function received({ codec, chunks, stored, base, proposal }: IngestFrame): ReceivedFrame {
  return {
    codec,
    digests: joinDigests(chunks.map((chunk) => chunk.digest)),
    lengths: chunks.map((chunk) => chunk.length),
    stored: new Uint8Array(stored),
    base: base && { digests: base.digests, offset: base.offset, bytes: base.bytes },
    proposal,
  };
}

/** A page as it goes over the wire: in its frame, or as it is. */
export function receivedPage(bytes: Uint8Array, frame?: IngestFrame): ReceivedPage {
  const { codec, stored } = frame ?? { codec: CODECS.raw, stored: bytes };
  const bases = frame?.base?.digests ?? new Uint8Array();
  return { codec, pageBytes: bytes.byteLength, bases, stored: new Uint8Array(stored) };
}

function producerSession(use: () => HubSession): IngestSession {
  let frameBodies = 0;
  let pageBodies = 0;
  return {
    bases: undefined,
    takesProposals: true,
    missing: (digests, options = {}) => use().missing(digests, options),
    canBase: (bases, bytes, options = {}) => use().canBase(bases, bytes, options),
    put: async (frames, options = {}) => {
      await use().putFrames(frameBodies++, frames.map(received), options);
    },
    putPage: async (page, form = {}, options = {}) => {
      if (form.isHeld === true) return;
      await use().putPages(pageBodies++, [receivedPage(page.bytes, form.frame)], options);
    },
    publish: (publication, options = {}) =>
      use().publish({ ...publication, base: publication.base?.version }, options),
    abort: () => use().abort(),
  };
}
