/** The services by gRPC, met by clients that are not ours, and by raw frames. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import http2 from "node:http2";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { Code, type ConnectError, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { systemClock } from "../../src/base/clock.ts";
import { AetherError } from "../../src/base/errors.ts";
import { SILENT_LOG, type Log } from "../../src/base/log.ts";
import { BlockAPI } from "../../src/gen/aetherfs/block/v1/api_pb.ts";
import { DatasetAPI } from "../../src/gen/aetherfs/dataset/v1/api_pb.ts";
import { Health } from "../../src/gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../../src/gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { fromRpcError } from "../../src/rpc/rpc-error.ts";
import { rpcService } from "../../src/rpc/rpc-service.ts";
import { requirePeer } from "../peers.ts";
import { openPort } from "../../src/serve/port/one-port.ts";
import { createGrpc } from "../../src/serve/grpc/grpc.ts";

const MESSAGE_BYTES_MAX = 100_000;

interface Bed {
  readonly url: string;
  readonly port: number;
  readonly stopping: AbortController;
  readonly logged: unknown[];
  /** Aborts that methods saw. */
  readonly aborts: string[];
}

/** The ancestor's two services, with methods that do what the tests need. */
function testServices(aborts: string[]) {
  const block = rpcService(BlockAPI, {
    lookup: async ({ signature }, { signal, requestHeader, responseHeader, responseTrailer }) => {
      responseHeader.set("x-echo", requestHeader.get("x-asked") ?? "");
      responseTrailer.set("x-trailer", "t");
      if (signature === "none") {
        throw new AetherError("TAG_NOT_FOUND", "there is no tag ä", { data: { dataset: "d", limit: 3 } });
      }
      if (signature === "long") throw new AetherError("ARGUMENT_INVALID", "ä".repeat(50_000));
      if (signature === "crash") throw new Error("secret insides");
      if (signature === "hang") {
        await new Promise((_, reject) => {
          signal.addEventListener("abort", () => {
            aborts.push(String((signal.reason as ConnectError).code));
            reject(signal.reason as Error);
          });
        });
      }
      return {};
    },
    async *download({ size }) {
      for (let count = 0; count < Number(size); count++) yield { part: new Uint8Array(50_000).fill(count) };
      if (size === 3n) throw new AetherError("OBJECT_CORRUPT", "half way");
    },
    upload: async (requests) => {
      let bytes = 0;
      for await (const { part } of requests) {
        bytes += part.byteLength;
        if (part[0] === 0xff) throw new AetherError("SPACE_EXHAUSTED", "the disk is full");
      }
      return { signature: String(bytes) };
    },
  });
  const dataset = rpcService(DatasetAPI, {
    async *subscribe(requests) {
      for await (const { tag } of requests) yield { tag: { name: `${tag?.name ?? ""}!`, version: "1" } };
    },
  });
  return [block, dataset];
}

async function withBed(work: (bed: Bed) => Promise<void>): Promise<void> {
  const aborts: string[] = [];
  const logged: unknown[] = [];
  const log: Log = { ...SILENT_LOG, error: (facts) => void logged.push(facts) };
  const stopping = new AbortController();
  const grpc = createGrpc(testServices(aborts), {
    messageBytesMax: MESSAGE_BYTES_MAX,
    log,
    clock: systemClock,
    stopping: stopping.signal,
  });
  const port = await openPort({
    ...{ host: "127.0.0.1", port: 0, tls: undefined, log, clock: systemClock },
    ...{ grpc: grpc.stream, http: grpc.http },
  });
  try {
    await work({ url: `http://127.0.0.1:${port.port}`, port: port.port, stopping, logged, aborts });
  } finally {
    stopping.abort();
    await port.close({ graceMs: 0 });
  }
}

const TRANSPORTS: readonly (readonly [string, (baseUrl: string) => Transport])[] = [
  ["gRPC", (baseUrl) => createGrpcTransport({ baseUrl })],
  ["gRPC-Web over HTTP/1.1", (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" })],
  ["gRPC-Web over HTTP/2", (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "2" })],
  ["Connect over HTTP/1.1", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1" })],
  [
    "Connect with JSON",
    (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat: false }),
  ],
];

for (const [name, open] of TRANSPORTS) {
  describe(`a service by ${name}`, () => {
    it("answers, with metadata both ways", async () => {
      await withBed(async ({ url }) => {
        const client = createClient(BlockAPI, open(url));
        let [header, trailer]: (string | null)[] = ["", ""];
        await client.lookup(
          { signature: "a" },
          {
            headers: { "x-asked": "yes" },
            onHeader: (headers) => (header = headers.get("x-echo")),
            onTrailer: (trailers) => (trailer = trailers.get("x-trailer")),
          },
        );
        assert.deepEqual([header, trailer], ["yes", "t"]);
      });
    });

    it("that throws an error of the table, gives its code, message and data", async () => {
      await withBed(async ({ url, logged }) => {
        const client = createClient(BlockAPI, open(url));
        const error = await client.lookup({ signature: "none" }).then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
        assert.equal((error as ConnectError).code, Code.NotFound);
        const own = fromRpcError(error, "h");
        assert.deepEqual(
          [own.code, own.message, own.data],
          ["TAG_NOT_FOUND", "there is no tag ä", { dataset: "d", limit: "3" }],
        );
        assert.deepEqual(logged, []);
      });
    });

    it("that fails itself, logs it and shows nothing of it", async () => {
      await withBed(async ({ url, logged }) => {
        const client = createClient(BlockAPI, open(url));
        await assert.rejects(client.lookup({ signature: "crash" }), (error) => {
          assert.equal((error as ConnectError).code, Code.Internal);
          assert.doesNotMatch(String(error), /secret/);
          return true;
        });
        assert.equal(logged.length, 1);
      });
    });

    it("that sends a stream, sends all of it, or the error in the middle", async () => {
      await withBed(async ({ url }) => {
        const client = createClient(BlockAPI, open(url));
        const read = async (size: bigint): Promise<number> => {
          let count = 0;
          for await (const { part } of client.download({ size })) assert.equal(part[0], count++);
          return count;
        };
        assert.equal(await read(200n), 200);
        await assert.rejects(read(3n), (error) => fromRpcError(error, "h").code === "OBJECT_CORRUPT");
      });
    });

    it("asked with a deadline, ends the method when it has passed", async () => {
      await withBed(async ({ url, aborts }) => {
        const client = createClient(BlockAPI, open(url));
        await assert.rejects(client.lookup({ signature: "hang" }, { timeoutMs: 50 }), {
          code: Code.DeadlineExceeded,
        });
        while (aborts.length === 0) await systemClock.sleep(5);
      });
    });

    it("given up by the client, ends the method", async () => {
      await withBed(async ({ url, aborts }) => {
        const client = createClient(BlockAPI, open(url));
        const controller = new AbortController();
        const call = client.lookup({ signature: "hang" }, { signal: controller.signal });
        setTimeout(() => {
          controller.abort();
        }, 50);
        await assert.rejects(call, { code: Code.Canceled });
        while (aborts.length === 0) await systemClock.sleep(5);
      });
    });

    it("given a message over the limit, refuses it", async () => {
      await withBed(async ({ url }) => {
        const client = createClient(BlockAPI, open(url));
        const call = client.lookup({ signature: "x".repeat(MESSAGE_BYTES_MAX + 1) });
        await assert.rejects(call, { code: Code.ResourceExhausted });
      });
    });
  });
}

describe("a service by gRPC", () => {
  it("takes a stream, also one that it stops reading, and talks both ways", async () => {
    await withBed(async ({ url }) => {
      const transport = createGrpcTransport({ baseUrl: url });
      async function* parts(count: number, fill: number) {
        for (let index = 0; index < count; index++) yield { part: new Uint8Array(60_000).fill(fill) };
      }
      const client = createClient(BlockAPI, transport);
      assert.equal((await client.upload(parts(100, 1))).signature, "6000000");
      await assert.rejects(client.upload(parts(100, 0xff)), { code: Code.ResourceExhausted });
      async function* tags() {
        yield { tag: { name: "a" } };
        yield { tag: { name: "b" } };
      }
      const names: string[] = [];
      const replies = createClient(DatasetAPI, transport).subscribe(tags());
      for await (const { tag } of replies) names.push(tag?.name ?? "");
      assert.deepEqual(names, ["a!", "b!"]);
    });
  });

  it("given frames that are none, answers with a status and goes on", async () => {
    await withBed(async ({ port, url }) => {
      const session = http2.connect(`http://127.0.0.1:${port}`);
      const path = "/aetherfs.block.v1.BlockAPI/Lookup";
      const ask = async (body: Buffer, headers: Record<string, string> = {}): Promise<string | undefined> => {
        const fixed = { ":method": "POST", ":path": path, "content-type": "application/grpc" };
        const stream = session.request({ ...fixed, ...headers });
        stream.on("error", () => undefined);
        let status: string | undefined;
        stream.on("response", (received) => (status ??= received["grpc-status"] as string | undefined));
        stream.on("trailers", (received) => (status ??= received["grpc-status"] as string | undefined));
        stream.end(body);
        stream.resume();
        await new Promise((resolve) => stream.once("close", resolve));
        return status;
      };
      const frame = (flag: number, bytes: Buffer, length = bytes.byteLength): Buffer =>
        Buffer.concat([Buffer.from([flag, 0, 0, length >> 8, length & 255]), bytes]);
      const signature = Buffer.from([0x0a, 1, 0x61]);
      const statuses = [
        await ask(frame(0, signature)),
        await ask(frame(1, gzipSync(signature)), { "grpc-encoding": "gzip" }),
        await ask(Buffer.alloc(0)),
        await ask(Buffer.concat([frame(0, signature), frame(0, signature)])),
        await ask(frame(0, signature, 9)),
        await ask(frame(0, Buffer.from([0x0a, 0x7f, 1]))),
        await ask(frame(1, signature), { "grpc-encoding": "gzip" }),
        await ask(frame(2, signature), { "grpc-encoding": "gzip" }),
        await ask(frame(1, signature), { "grpc-encoding": "br" }),
        await ask(frame(1, gzipSync(Buffer.alloc(1_000_000))), { "grpc-encoding": "gzip" }),
        await ask(Buffer.from([0, 255, 255, 255, 255])),
        await ask(frame(0, signature), { ":path": "/aetherfs.block.v1.BlockAPI/None" }),
        await ask(frame(0, signature), { "grpc-timeout": "soon" }),
      ];
      session.destroy();
      assert.deepEqual(statuses, ["0", "0", "3", "3", "3", "3", "3", "3", "12", "8", "8", "12", "3"]);
      await createClient(BlockAPI, createGrpcTransport({ baseUrl: url })).lookup({ signature: "a" });
    });
  });

  it("asked in another form than protobuf's, answers 415", async () => {
    await withBed(async ({ port }) => {
      const session = http2.connect(`http://127.0.0.1:${port}`);
      try {
        const path = "/aetherfs.block.v1.BlockAPI/Lookup";
        const stream = session.request({
          ...{ ":method": "POST", ":path": path, "content-type": "application/grpc+json" },
        });
        stream.on("error", () => undefined);
        const [headers] = (await once(stream.end("{}"), "response")) as [http2.IncomingHttpHeaders];
        assert.equal(headers[":status"], 415);
      } finally {
        session.destroy();
      }
    });
  });

  it("asked with a deadline by a client that never ends its request, answers when it has passed", async () => {
    await withBed(async ({ port }) => {
      const session = http2.connect(`http://127.0.0.1:${port}`);
      try {
        const path = "/aetherfs.block.v1.BlockAPI/Lookup";
        const fixed = { ":method": "POST", ":path": path, "content-type": "application/grpc" };
        const stream = session.request({ ...fixed, "grpc-timeout": "50m" }, { endStream: false });
        stream.on("error", () => undefined);
        const [headers] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
        assert.equal(headers["grpc-status"], String(Code.DeadlineExceeded));
      } finally {
        session.destroy();
      }
    });
  });

  it("given large messages that never end, keeps those waiting for room, and answers small ones", async () => {
    await withBed(async ({ port, url }) => {
      const session = http2.connect(`http://127.0.0.1:${port}`);
      try {
        const path = "/aetherfs.block.v1.BlockAPI/Upload";
        const fixed = { ":method": "POST", ":path": path, "content-type": "application/grpc" };
        const slow = Array.from({ length: 40 }, () => {
          const stream = session.request(fixed, { endStream: false });
          stream.on("error", () => undefined);
          stream.write(Buffer.from([0, 0, 1, 0x86, 0xa0, 0x0a]));
          return stream;
        });
        const client = createClient(BlockAPI, createGrpcTransport({ baseUrl: url }));
        await client.lookup({ signature: "a" });
        async function* parts() {
          yield { part: new Uint8Array(90_000) };
        }
        const large = client.upload(parts());
        for (const stream of slow) stream.close(http2.constants.NGHTTP2_CANCEL);
        assert.equal((await large).signature, "90000");
      } finally {
        session.destroy();
      }
    });
  });

  it("tells its health, and watchers when it stops", async () => {
    await withBed(async ({ url, stopping }) => {
      const client = createClient(Health, createGrpcTransport({ baseUrl: url }));
      assert.equal((await client.check({})).status, 1);
      assert.equal((await client.check({ service: "aetherfs.block.v1.BlockAPI" })).status, 1);
      await assert.rejects(client.check({ service: "none" }), { code: Code.NotFound });
      const seen: number[] = [];
      for await (const { status } of client.watch({ service: "" })) {
        seen.push(status);
        stopping.abort();
      }
      assert.deepEqual(seen, [1, 2]);
    });
  });

  it("describes itself to whoever asks by reflection", async () => {
    await withBed(async ({ url }) => {
      const client = createClient(ServerReflection, createGrpcTransport({ baseUrl: url }));
      async function* ask() {
        yield { messageRequest: { case: "listServices", value: "" } } as const;
        yield {
          messageRequest: { case: "fileContainingSymbol", value: "aetherfs.block.v1.BlockAPI.Lookup" },
        } as const;
        yield { messageRequest: { case: "fileContainingSymbol", value: "none.Such" } } as const;
      }
      const answers = [];
      for await (const { messageResponse } of client.serverReflectionInfo(ask()))
        answers.push(messageResponse);
      const [list, file, none] = answers;
      assert.ok(list?.case === "listServicesResponse");
      assert.ok(list.value.service.some(({ name }) => name === "aetherfs.dataset.v1.DatasetAPI"));
      assert.ok(file?.case === "fileDescriptorResponse" && file.value.fileDescriptorProto.length >= 3);
      assert.equal(none?.case, "errorResponse");
    });
  });

  it("met by python's grpcio, answers calls, streams, errors with details, deadlines and cancellation", async (t) => {
    const python = requirePeer(t, "python3-grpc");
    if (python === undefined) return;
    await withBed(async ({ port, aborts }) => {
      const script = `
import grpc, sys
channel = grpc.insecure_channel("127.0.0.1:${port}")
raw = lambda b: b
lookup = channel.unary_unary("/aetherfs.block.v1.BlockAPI/Lookup", raw, raw)
download = channel.unary_stream("/aetherfs.block.v1.BlockAPI/Download", raw, raw)
upload = channel.stream_unary("/aetherfs.block.v1.BlockAPI/Upload", raw, raw)
text = lambda s: b"\\x0a" + bytes([len(s)]) + s
reply, call = lookup.with_call(text(b"a"), metadata=[("x-asked", "py")], compression=grpc.Compression.Gzip)
assert reply == b"" and ("x-echo", "py") in call.initial_metadata() and ("x-trailer", "t") in call.trailing_metadata()
try: lookup(text(b"none")); assert False
except grpc.RpcError as e:
  assert e.code() == grpc.StatusCode.NOT_FOUND and e.details() == "there is no tag ä", e
  assert b"TAG_NOT_FOUND" in dict(e.trailing_metadata())["grpc-status-details-bin"]
try: lookup(b"\\x0a\\x04long"); assert False
except grpc.RpcError as e: assert e.code() == grpc.StatusCode.INVALID_ARGUMENT and e.details().startswith("ääää"), e
assert sum(len(m) for m in download(b"\\x18\\xc8\\x01")) > 200 * 50000
part = lambda fill: b"\\x0a\\xe0\\xd4\\x03" + bytes([fill]) * 60000
assert upload(part(1) for _ in range(50)) == text(b"3000000")
try: upload(part(255) for _ in range(50)); assert False
except grpc.RpcError as e: assert e.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, e
try: lookup(text(b"hang"), timeout=0.1); assert False
except grpc.RpcError as e: assert e.code() == grpc.StatusCode.DEADLINE_EXCEEDED, e
future = lookup.future(text(b"hang")); future.cancel()
print("all well")
`;
      const { stdout } = await promisify(execFile)(python, ["-c", script], { timeout: 60_000 });
      assert.equal(stdout, "all well\n");
      while (aborts.length < 1) await systemClock.sleep(5);
    });
  });
});
