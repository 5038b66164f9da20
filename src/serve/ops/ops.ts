/** Whether a hub lives, whether it can work, and what it does. */
import { AetherError, codeOf } from "../../base/errors.ts";
import { sendMethodNotAllowed, type HttpHandler, type HttpResponse } from "../http-handler.ts";
import type { Services } from "../services.ts";
import { Meter } from "./meter.ts";

/** How long the store may take to answer. */
const STORE_ANSWERS_MS = 3000;

/** What createOps makes. */
export interface Ops {
  /** The process lives. */
  readonly healthz: HttpHandler;
  /** The store answers; HUB_UNAVAILABLE while it does not, and while the hub stops. */
  readonly readyz: HttpHandler;
  /** All figures, in Prometheus's text format. */
  readonly metrics: HttpHandler;
  /** Counts what the others answer. */
  readonly meter: Meter;
}

/** The handlers of /healthz, /readyz and /metrics. Figures are the hub's own: several may be in one process. */
export function createOps(services: Services): Ops {
  const meter = new Meter(services.engine);
  return {
    healthz: reading(async (response) => {
      sendText(response, "ok\n");
    }),
    readyz: reading(async (response) => {
      await checkReady(services);
      sendText(response, "ready\n");
    }),
    metrics: reading(async (response) => {
      sendText(response, await meter.registry.metrics(), meter.registry.contentType);
    }),
    meter,
  };
}

function reading(answer: (response: HttpResponse) => Promise<void>): HttpHandler {
  return async ({ method }, response) => {
    if (method === "GET" || method === "HEAD") await answer(response);
    else sendMethodNotAllowed(response, ["GET", "HEAD"]);
  };
}

async function checkReady({ engine, stopping }: Services): Promise<void> {
  if (stopping.aborted) throw new AetherError("HUB_UNAVAILABLE", "the hub is stopping");
  const ended = new AbortController();
  const late = engine.clock.sleep(STORE_ANSWERS_MS, ended.signal).then(() => {
    throw new AetherError("HUB_UNAVAILABLE", `the store did not answer within ${STORE_ANSWERS_MS} ms`);
  });
  late.catch(() => undefined);
  try {
    await Promise.race([askStore(engine.store.datasets, ended.signal), late]);
  } catch (cause) {
    if (codeOf(cause) === "HUB_UNAVAILABLE") throw cause;
    throw new AetherError("HUB_UNAVAILABLE", "the store does not answer", { cause });
  } finally {
    ended.abort();
  }
}

/** The first dataset's name takes the store one look. */
async function askStore(
  datasets: Services["engine"]["store"]["datasets"],
  signal: AbortSignal,
): Promise<void> {
  for await (const _ of datasets.listDatasets({ signal })) return;
}

function sendText(response: HttpResponse, text: string, contentType = "text/plain; charset=utf-8"): void {
  const bytes = Buffer.from(text);
  response.writeHead(200, {
    "content-type": contentType,
    "content-length": bytes.byteLength,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  response.end(bytes);
}
