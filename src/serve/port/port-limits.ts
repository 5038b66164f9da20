/** What the port grants a client at most. */
import { KiB, MiB } from "../../base/limits.ts";

/** Times in milliseconds. */
export interface PortLimits {
  /** Connections at a time; those beyond are dropped. */
  readonly connectionsMax: number;
  /** From a connection to its first bytes, and to the end of a TLS handshake. */
  readonly helloMs: number;
  /** From the first byte of a request by HTTP/1.1 to the end of its header, and to the end of its body. */
  readonly headerMs: number;
  readonly requestMs: number;
  /** How long a connection stays open with nothing to answer. */
  readonly idleMs: number;
  /** How long a client may take nothing of an answer, or send nothing of the body of a request by HTTP/2. */
  readonly stallMs: number;
  /** How often connections are looked over. */
  readonly sweepMs: number;
  /** A request's header. */
  readonly headerBytesMax: number;
  readonly headersMax: number;
  /** Requests that a client may send by HTTP/1.1 before the first of them is answered. */
  readonly pipelinedMax: number;
  /** Requests under way in an HTTP/2 session. */
  readonly streamsMax: number;
  /** Bytes that a client may send unread: of a stream, and of a session. */
  readonly streamWindowBytes: number;
  readonly sessionWindowBytes: number;
  /** Streams that a client may break off at once, and in a second later. CVE-2023-44487 */
  readonly resetBurst: number;
  readonly resetsPerSecond: number;
}

/** The limits of a hub. */
export const DEFAULT_PORT_LIMITS: PortLimits = {
  connectionsMax: 4096,
  helloMs: 10_000,
  headerMs: 20_000,
  requestMs: 300_000,
  idleMs: 75_000,
  stallMs: 60_000,
  sweepMs: 5_000,
  headerBytesMax: 32 * KiB,
  headersMax: 128,
  pipelinedMax: 64,
  streamsMax: 256,
  streamWindowBytes: MiB,
  sessionWindowBytes: 4 * MiB,
  resetBurst: 1000,
  resetsPerSecond: 33,
};
