/** Conditions of the header If, and codings: what a request says besides which resource it is about. */
import assert from "node:assert/strict";
import { request } from "node:http";
import { after, before, describe, it } from "node:test";
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from "node:zlib";
import { ask, openWebdavBed, type WebdavBed } from "./webdav-bed.ts";

const TOKEN = "<urn:uuid:181d4fae-7d8c-11d0-a765-00a0c91e6bf2>";
const UNPACK = { gzip: gunzipSync, br: brotliDecompressSync, zstd: zstdDecompressSync } as const;
const MANY = 300;

let bed: WebdavBed;
before(async () => {
  bed = await openWebdavBed();
  bed.push.write("a", "one");
  bed.push.write("b", "two");
  for (let index = 0; index < MANY; index++) bed.push.write(`many/file-${index}.txt`, "");
  await bed.publish("set:v1");
});
after(() => bed.close());

async function etagOf(path: string): Promise<string> {
  return (await ask(`${bed.url}${path}`, "HEAD")).headers.get("etag") ?? "";
}

describe("the header If", () => {
  it("of reads, lets through what holds and refuses with 412 what does not", async () => {
    const [a, b] = [await etagOf("/set/v1/a"), await etagOf("/set/v1/b")];
    const url = `${bed.url}/set/v1`;
    for (const method of ["GET", "HEAD", "PROPFIND"]) {
      const done = method === "PROPFIND" ? 207 : 200;
      for (const [condition, status] of [
        [`([${a}])`, done],
        [`([${b}])`, 412],
        [`(Not [${b}])`, done],
        [`(${TOKEN})`, 412],
        [`(${TOKEN} [${a}]) (Not <DAV:no-lock>)`, done],
        [`<${url}/b> ([${b}])`, done],
        [`<${new URL(url).pathname}/b> ([${a}])`, 412],
        [`<http://somewhere.example/other/b> ([${b}])`, 412],
        [`<${url}/nothing> (Not [${b}])`, done],
        ["(a)", 400],
        [`(${`[${a}]`.repeat(200)})`, 413],
      ] as const) {
        const answer = await ask(`${url}/a`, method, { if: condition });
        const told = status === 413 ? [400, 413].includes(answer.status) : answer.status === status;
        assert.ok(told, `${method} ${condition}: ${answer.status}`);
        if (answer.status === 412) assert.equal(answer.text, "");
      }
    }
  });

  it("of writes, comes before the refusal: 412 where it fails, else 403", async () => {
    const a = await etagOf("/set/v1/a");
    for (const method of ["PUT", "DELETE", "LOCK", "UNLOCK", "PROPPATCH", "MKCOL"]) {
      const headers = { if: `(${TOKEN})` };
      assert.equal((await ask(`${bed.url}/set/v1/a`, method, headers)).status, 412, method);
    }
    assert.equal((await ask(`${bed.url}/set/v1/a`, "DELETE", { if: `([${a}])` })).status, 403);
  });

  it("is of the version that the tag names at that moment", async () => {
    await bed.publish("moving:tag");
    const before = await etagOf("/moving/tag/a");
    bed.push.write("a", "another");
    await bed.publish("moving:tag");
    const url = `${bed.url}/moving/tag/a`;
    assert.equal((await ask(url, "GET", { if: `([${before}])` })).status, 412);
    assert.equal((await ask(url, "GET", { if: `([${await etagOf("/moving/tag/a")}])` })).text, "another");
  });
});

interface Raw {
  readonly status: number | undefined;
  readonly coding: string | undefined;
  readonly bytes: Buffer;
}

/** What fetch() would decode. */
async function propfind(path: string, accepted?: string): Promise<Raw> {
  const headers = { depth: "1", ...(accepted === undefined ? {} : { "accept-encoding": accepted }) };
  return new Promise((resolve, reject) => {
    const sent = request(`${bed.url}${path}`, { method: "PROPFIND", headers }, (answer) => {
      const pieces: Buffer[] = [];
      answer.on("data", (piece: Buffer) => pieces.push(piece));
      answer.on("error", reject);
      answer.on("end", () => {
        assert.equal(answer.headers.vary, answer.statusCode === 207 ? "accept-encoding" : undefined);
        const { statusCode: status, headers: told } = answer;
        resolve({ status, coding: told["content-encoding"], bytes: Buffer.concat(pieces) });
      });
    });
    sent.on("error", reject);
    sent.end();
  });
}

describe("the answer to a PROPFIND", () => {
  it("comes in the coding that is asked for, and says the same in each", async () => {
    const plain = await propfind("/set/v1/many/");
    assert.deepEqual([plain.status, plain.coding], [207, undefined]);
    assert.equal(plain.bytes.toString().match(/<D:response>/g)?.length, MANY + 1);
    for (const coding of ["gzip", "br", "zstd"] as const) {
      const coded = await propfind("/set/v1/many/", coding);
      assert.deepEqual([coded.status, coded.coding], [207, coding]);
      assert.ok(UNPACK[coding](coded.bytes).equals(plain.bytes), coding);
      assert.ok(coded.bytes.byteLength * 10 < plain.bytes.byteLength, `${coded.bytes.byteLength} bytes`);
    }
  });

  it("that is short comes as it is, unless that is not taken; of no form that is taken, not at all", async () => {
    const short = await propfind("/set/v1/a", "gzip");
    assert.deepEqual([short.status, short.coding], [207, undefined]);
    const coded = await propfind("/set/v1/a", "gzip, identity;q=0");
    assert.equal(coded.coding, "gzip");
    assert.ok(gunzipSync(coded.bytes).equals(short.bytes));
    assert.equal((await propfind("/set/v1/many/", "identity;q=0")).status, 406);
    assert.equal((await propfind("/set/v1/a", "*;q=0")).status, 406);
  });
});
