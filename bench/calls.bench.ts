/** Small answers: calls a second, and what each costs, with 1, 10 and 100 clients, beside a static file of other servers. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { must } from "../src/base/assert.ts";
import { ResolveRequestSchema } from "../src/gen/aetherfs/hub/v1/catalog_pb.ts";
import { withFolder } from "./folders.ts";
import { runProgram } from "./measure.ts";
import { medianFigures, roundTo3, type BenchResult, type Figures } from "./result.ts";
import type { Server } from "./servers.ts";
import { aetherfsCommand } from "./snapshot-tools.ts";
import { startHub, webServers } from "./web-servers.ts";

const CLIENTS = [1, 10, 100];
const CALLS = 4000;
const WARM_UP_CALLS = 1000;
const FILE_BYTES = 1024;

/** One kind of call: the words that h2load gets besides numbers and address. */
interface Call {
  readonly name: string;
  readonly path: string;
  readonly words: readonly string[];
}

/** Measures with h2load, a connection for each client, one call at a time on each. */
export async function benchCalls(rounds: number): Promise<BenchResult> {
  const figures = new Map<string, Figures[]>();
  const keep = (row: string, measured: Figures): void => {
    figures.set(row, [...(figures.get(row) ?? []), measured]);
  };
  await withFolder(async (folder) => {
    const calls = await prepare(folder);
    for (let round = 0; round < rounds; round++) {
      await withServer(await startHub(folder), async (server) => {
        keep("aetherfs at rest", { startMs: server.startMs, memoryMiB: server.usage().memoryMiB });
        for (const call of calls) keep(call.name, await measureCall(server, call));
      });
      for (const { name, start } of webServers(folder, join(folder, "files"))) {
        const call = { name, path: "/small.bin", words: ["--h1"] };
        await withServer(await start(), async (server) => {
          keep(name, await measureCall(server, call));
        });
      }
    }
  });
  const medians = Object.fromEntries([...figures].map(([row, runs]) => [row, medianFigures(runs)]));
  const rate = (row: string, clients: number): number =>
    must(medians[row]?.[`perSecond${clients}`], "every row has it");
  const ratios = Object.fromEntries(
    ["nginx", "caddy", "rclone"].flatMap((peer) =>
      CLIENTS.map((clients) => [
        `calls a second, ${clients} clients: aetherfs /fs / ${peer}`,
        roundTo3(rate("aetherfs, /fs, 1 KiB", clients) / rate(peer, clients)),
      ]),
    ),
  );
  const compared = `h2load over loopback, ${CALLS} calls, 1, 10 and 100 connections; a file of 1 KiB by HTTP/1.1; gRPC and REST resolve a tag`;
  return { name: "calls", rounds, compared, medians, ratios };
}

async function prepare(folder: string): Promise<readonly Call[]> {
  const files = join(folder, "files");
  await mkdir(join(folder, "home"), { recursive: true });
  await mkdir(files);
  await writeFile(join(files, "small.bin"), Buffer.alloc(FILE_BYTES, "small "));
  await runProgram(aetherfsCommand(folder, "push", "-t", "calls:one", files));
  const body = join(folder, "resolve.bin");
  const message = toBinary(ResolveRequestSchema, create(ResolveRequestSchema, { name: "calls", tag: "one" }));
  await writeFile(body, Buffer.concat([Buffer.from([0, 0, 0, 0, message.byteLength]), message]));
  const grpc = ["-d", body, "-H", "content-type: application/grpc", "-H", "te: trailers"];
  return [
    { name: "aetherfs, gRPC Resolve", path: "/aetherfs.hub.v1.CatalogAPI/Resolve", words: grpc },
    { name: "aetherfs, REST Resolve", path: "/api/v1/catalog/calls/tags/one", words: ["--h1"] },
    { name: "aetherfs, /fs, 1 KiB", path: "/fs/calls/one/small.bin", words: ["--h1"] },
    { name: "aetherfs, /healthz", path: "/healthz", words: ["--h1"] },
  ];
}

async function withServer(server: Server, work: (server: Server) => Promise<void>): Promise<void> {
  try {
    await work(server);
  } finally {
    await server.stop();
  }
}

async function measureCall(server: Server, call: Call): Promise<Figures> {
  await load(server, call, 10, WARM_UP_CALLS);
  const figures: Record<string, number> = {};
  for (const clients of CLIENTS) {
    const before = server.usage().cpuSeconds;
    figures[`perSecond${clients}`] = Math.round(await load(server, call, clients, CALLS));
    const cpuSeconds = server.usage().cpuSeconds - before;
    figures[`cpuMsEach${clients}`] = roundTo3((cpuSeconds * 1000) / CALLS);
  }
  return { ...figures, peakMiB: server.usage().peakMiB };
}

/** Calls a second. Throws when one failed. */
async function load(server: Server, { path, words }: Call, clients: number, calls: number): Promise<number> {
  const numbers = ["-n", String(calls), "-c", String(clients), "-m", "1"];
  const output = await runProgram({ argv: ["h2load", ...numbers, ...words, `${server.url}${path}`] });
  const [, rate] = /finished in \S+, ([\d.]+) req\/s/.exec(output) ?? [];
  const [, succeeded] = /(\d+) succeeded/.exec(output) ?? [];
  if (rate === undefined || Number(succeeded) !== calls) throw new Error(`calls failed: ${output}`);
  return Number(rate);
}
