/** Counting what a hub does, for Prometheus. */
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Engine } from "../../dataset/engine.ts";
import type { ScrubFigures } from "../../dataset/scrub/scrubber.ts";
import type { HttpHandler } from "../http-handler.ts";

/** What goes on at the port. Bytes since it was opened. */
export interface PortFigures {
  readonly connections: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

/** Answers a gRPC stream. */
export type StreamHandler = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

const BUCKETS_SECONDS = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100];
/** Methods of HTTP that get a line of their own: by HTTP/2 a client may name any. */
const HTTP_METHODS: readonly string[] = [
  "GET",
  "HEAD",
  "POST",
  "PUT",
  "PATCH",
  "DELETE",
  "OPTIONS",
  "PROPFIND",
];
/** Methods of gRPC that do. */
const METHODS_MAX = 200;
/** How a call ended that nobody waited for, and one to a method that is not there: gRPC's status codes. */
const CANCELLED = "1";
const UNIMPLEMENTED = "12";

const NO_SCRUB: ScrubFigures = { bytes: 0, rounds: 0, faults: 0, quarantined: 0 };

/** Counts requests, and reads what others count. */
export class Meter {
  readonly registry = new Registry();
  readonly #engine: Pick<Engine, "clock" | "pool">;
  readonly #requests: Counter<"interface" | "method" | "status">;
  readonly #seconds: Histogram<"interface" | "method">;
  readonly #underWay: Gauge<"interface">;
  readonly #methods = new Set<string>();

  constructor(engine: Pick<Engine, "clock" | "pool" | "memoryBytes">) {
    const registers = [this.registry];
    this.#engine = engine;
    this.#requests = new Counter({
      name: "aetherfs_requests_total",
      help: "Requests that ended, by their status: HTTP's or gRPC's; aborted when the client had gone.",
      labelNames: ["interface", "method", "status"],
      registers,
    });
    this.#seconds = new Histogram({
      name: "aetherfs_request_seconds",
      help: "How long requests took, to the end of their answers.",
      labelNames: ["interface", "method"],
      buckets: BUCKETS_SECONDS,
      registers,
    });
    this.#underWay = new Gauge({
      name: "aetherfs_requests_under_way",
      help: "Requests that are being answered.",
      labelNames: ["interface"],
      registers,
    });
    this.gauge("aetherfs_worker_jobs_queued", "Jobs that wait for a thread.", () => engine.pool.queued);
    this.gauge("aetherfs_worker_threads", "Threads that jobs may use.", () => engine.pool.threads);
    this.gauge("aetherfs_memory_limit_bytes", "What one operation may hold.", () => engine.memoryBytes);
    collectDefaultMetrics({ register: this.registry });
  }

  /** A figure that is read whenever somebody asks. */
  gauge(name: string, help: string, read: () => number): void {
    const gauge: Gauge = new Gauge({
      name,
      help,
      registers: [this.registry],
      collect: () => {
        gauge.set(read());
      },
    });
  }

  /** A sum that somebody else keeps, read whenever somebody asks. */
  counter(name: string, help: string, read: () => number): void {
    const counter: Counter = new Counter({
      name,
      help,
      registers: [this.registry],
      collect: () => {
        counter.reset();
        counter.inc(read());
      },
    });
  }

  /** Shows a port's figures. */
  showPort(load: () => PortFigures): void {
    this.gauge("aetherfs_connections", "Open connections.", () => load().connections);
    this.counter("aetherfs_received_bytes_total", "Bytes received.", () => load().receivedBytes);
    this.counter("aetherfs_sent_bytes_total", "Bytes sent.", () => load().sentBytes);
  }

  /** Shows what the scrub found; undefined: there is none. */
  showScrub(figures: () => ScrubFigures | undefined): void {
    const count = (name: string, help: string, of: (scrub: ScrubFigures) => number): void => {
      this.counter(`aetherfs_scrub_${name}_total`, help, () => of(figures() ?? NO_SCRUB));
    };
    count("bytes", "Bytes of blocks that were compared with their names.", ({ bytes }) => bytes);
    count("rounds", "Rounds through the whole store.", ({ rounds }) => rounds);
    count("faults", "Objects that were found missing or damaged.", ({ faults }) => faults);
    count("quarantined", "Damaged objects that were moved to quarantine.", ({ quarantined }) => quarantined);
  }

  /** The handler, its requests counted under the interface's name. */
  http(name: string, handler: HttpHandler): HttpHandler {
    return (request, response) => {
      const end = this.begin(name);
      const { method = "" } = request;
      response.once("close", () => {
        const isKnown = method === "HEAD" || response.writableFinished;
        end(
          HTTP_METHODS.includes(method) ? method : "other",
          isKnown ? String(response.statusCode) : "aborted",
        );
      });
      return handler(request, response);
    };
  }

  /** The handler of gRPC, its calls counted. */
  grpc(handler: StreamHandler): StreamHandler {
    return (stream, headers) => {
      const end = this.begin("grpc");
      stream.once("close", () => {
        // A stream that was broken off before has neither.
        const early = stream.headersSent ? stream.sentHeaders["grpc-status"] : undefined;
        const sent = stream.sentTrailers?.["grpc-status"] ?? early;
        const status = sent === undefined ? CANCELLED : String(sent);
        end(this.#methodOf(headers[":path"] ?? "", status), status);
      });
      handler(stream, headers);
    };
  }

  /** Counts a request of an interface from now on, until what it gives is called. Both words are of a few that the interface knows. */
  begin(name: string): (method: string, status: string) => void {
    const { clock } = this.#engine;
    const begunMs = clock.elapsedMs();
    this.#underWay.inc({ interface: name });
    return (method, status) => {
      this.#underWay.dec({ interface: name });
      this.#requests.inc({ interface: name, method, status });
      this.#seconds.observe({ interface: name, method }, (clock.elapsedMs() - begunMs) / 1000);
    };
  }

  /** Only methods that there are get a line: a client may ask for any. */
  #methodOf(path: string, status: string): string {
    if (this.#methods.has(path)) return path;
    const isOne = status !== UNIMPLEMENTED && status !== CANCELLED && this.#methods.size < METHODS_MAX;
    if (!isOne) return "other";
    this.#methods.add(path);
    return path;
  }
}
