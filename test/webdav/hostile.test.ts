/** Requests to WebDAV that no client sends, or that none should. */
import assert from "node:assert/strict";
import net from "node:net";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { KiB } from "../../src/base/limits.ts";
import { ask, openWebdavBed, type WebdavBed } from "./webdav-bed.ts";

const DAV = 'xmlns="DAV:"';
const ALL = `<propfind ${DAV}><allprop/></propfind>`;
const METHODS = ["PROPFIND", "PROPPATCH", "OPTIONS", "GET", "HEAD", "PUT", "COPY", "LOCK", "POST", "REPORT"];
const SEGMENTS = [
  "set",
  "v1",
  "x",
  "@t",
  "",
  "%2e%2e",
  "%",
  "%00",
  "%ff",
  "..",
  `sha256:${"0".repeat(64)}`,
  "@sha256:0",
];
const HEADERS = [
  "depth",
  "if",
  "destination",
  "overwrite",
  "timeout",
  "lock-token",
  "range",
  "if-match",
  "content-type",
  "te",
];
const VALUES = [
  ...[
    "0",
    "1",
    "infinity",
    "(<urn:x>)",
    "(Not <urn:x>) (<",
    "<>([",
    "*",
    "http://",
    "//",
    "T",
    "Second-1",
    "bytes=0-0",
  ],
];
const XML = [
  ...[
    "<",
    ">",
    "/",
    "&",
    ";",
    '"',
    "'",
    "=",
    " ",
    "propfind",
    "prop",
    "allprop",
    "propname",
    "include",
    "D:",
    "xmlns",
  ],
  ...[
    'xmlns="DAV:"',
    'xmlns:D="DAV:"',
    "<propfind",
    "</propfind>",
    "<prop>",
    "</prop>",
    "<getetag/>",
    "<!--",
    "-->",
  ],
  ...[
    "<![CDATA[",
    "]]>",
    "<?xml version='1.0'?>",
    "<!DOCTYPE x [",
    "<!ENTITY a 'b'>",
    "&amp;",
    "&#0;",
    "&#x10ffff;",
  ],
];

let bed: WebdavBed;
before(async () => {
  bed = await openWebdavBed();
  bed.push.write("x", "content");
  for (let index = 0; index < 300; index++) bed.push.write(`many/${index}`, "");
  await bed.publish("set:v1");
});
after(() => bed.close());

/** Sends bytes, and tells what came until the connection ended; `more` is sent once something has come. */
async function raw(text: string, more = ""): Promise<string> {
  const socket = net.connect(Number(new URL(bed.url).port), "127.0.0.1");
  socket.on("error", () => undefined);
  socket.write(text);
  let answer = "";
  socket.on("data", (bytes) => {
    if (answer === "" && more !== "") socket.write(more);
    answer += bytes.toString();
  });
  await new Promise((resolve) => socket.once("close", resolve));
  return answer;
}

async function isServed(): Promise<void> {
  assert.equal((await ask(`${bed.url}/set/v1/x`, "PROPFIND", { depth: "0" }, ALL)).status, 207);
}

describe("WebDAV", () => {
  it("asked by any method, path, headers and body, answers with a status below 500", async () => {
    const printable = fc.string({ maxLength: 30 }).map((text) => text.replace(/[^ -~]/g, ""));
    const segment = fc.oneof(
      fc.constantFrom(...SEGMENTS),
      fc.string({ unit: "grapheme", maxLength: 8 }).map((text) => encodeURIComponent(text)),
    );
    const header = fc.tuple(fc.constantFrom(...HEADERS), fc.oneof(fc.constantFrom(...VALUES), printable));
    const xml = fc.array(fc.oneof(fc.constantFrom(...XML), fc.string({ unit: "binary", maxLength: 4 })));
    const body = fc.oneof(
      fc.constant(undefined),
      xml.map((parts) => parts.join("")),
      xml.map((parts) => `<propfind ${DAV}><prop>${parts.join("")}</prop></propfind>`),
    );
    const property = fc.asyncProperty(
      fc.constantFrom(...METHODS),
      fc.array(segment, { maxLength: 5 }),
      fc.array(header, { maxLength: 4 }),
      body,
      async (method, segments, pairs, sent) => {
        const isBare = method === "GET" || method === "HEAD";
        const url = `${bed.url}/${segments.join("/")}`;
        const { status, text } = await ask(url, method, Object.fromEntries(pairs), isBare ? undefined : sent);
        assert.ok(status >= 200 && status < 500, `${method} ${url}: ${text}`);
      },
    );
    await fc.assert(property, { numRuns: 500 });
  });

  it("sent XML that grows, nests or names without end, refuses it with an error of the table, and goes on", async () => {
    const entities = Array.from(
      { length: 10 },
      (_, index) => `<!ENTITY a${index + 1} "${`&a${index};`.repeat(10)}">`,
    );
    const laughs = `<!DOCTYPE x [<!ENTITY a0 "ha">${entities.join("")}]><propfind ${DAV}><prop>&a10;</prop></propfind>`;
    const outside = `<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><propfind ${DAV}><prop>&a;</prop></propfind>`;
    const deep = `<propfind ${DAV}><prop>${"<a>".repeat(10_000)}`;
    const names = Array.from({ length: 129 }, (_, index) => `<p${index}/>`).join("");
    for (const [body, status, code] of [
      [laughs, 400, "ARGUMENT_INVALID"],
      [outside, 400, "ARGUMENT_INVALID"],
      [deep, 400, "ARGUMENT_INVALID"],
      [`<propfind ${DAV}><prop>${names}</prop></propfind>`, 413, "LIMIT_EXCEEDED"],
      [`${ALL}${" ".repeat(64 * KiB)}`, 413, "LIMIT_EXCEEDED"],
    ] as const) {
      const answer = await ask(`${bed.url}/set/v1/`, "PROPFIND", { depth: "0" }, body);
      assert.equal(answer.status, status, body.slice(0, 100));
      assert.equal((JSON.parse(answer.text) as { code: unknown }).code, code);
      assert.ok(!answer.text.includes("root:"));
    }
    await isServed();
  });

  it("sent a body without a length that does not end, refuses it once it is too long", async () => {
    const head =
      "PROPFIND /webdav/set/v1/ HTTP/1.1\r\nhost: a\r\ndepth: 0\r\ntransfer-encoding: chunked\r\n\r\n";
    const chunk = `10000\r\n${" ".repeat(0x10000)}\r\n`;
    assert.match(
      await raw(`${head}${chunk}${chunk}`, `${chunk}0\r\n\r\n`),
      /^HTTP\/1\.1 413 [^]*LIMIT_EXCEEDED/,
    );
    await isServed();
  });

  it("sent a header that is too long, refuses it", async () => {
    const answer = await ask(`${bed.url}/`, "PROPFIND", { depth: "0", if: `(${"<urn:x>".repeat(6000)})` });
    assert.equal(answer.status, 431);
    await isServed();
  });

  it("asked to change something, refuses at once: what is on its way, and what waits for leave", async () => {
    const target = `${bed.url}/set/v1/x`;
    for (const method of ["PUT", "DELETE", "MKCOL", "PATCH", "LOCK", "UNLOCK"]) {
      const { status, text } = await ask(target, method, {}, method === "PUT" ? "new" : undefined);
      assert.equal(status, 403, method);
      assert.match(text, /ACCESS_DENIED/);
    }
    for (const method of ["COPY", "MOVE"]) {
      assert.equal((await ask(target, method)).status, 400);
      assert.equal((await ask(target, method, { destination: "nowhere" })).status, 400);
      assert.equal((await ask(target, method, { destination: `${bed.url}/set/v1/y` })).status, 403);
    }
    const { status, headers } = await ask(target, "REPORT");
    assert.deepEqual([status, headers.get("allow")], [405, "OPTIONS, GET, HEAD, PROPFIND"]);
    const head = `PUT /webdav/set/v1/big HTTP/1.1\r\nhost: a\r\ncontent-length: ${10 * 2 ** 30}\r\n`;
    const waiting = await raw(`${head}expect: 100-continue\r\n\r\n`);
    assert.match(waiting, /^HTTP\/1\.1 403 [^]*ACCESS_DENIED/);
    const socket = net.connect(Number(new URL(bed.url).port), "127.0.0.1");
    socket.on("error", () => undefined);
    socket.write(`${head}\r\n${"x".repeat(100_000)}`);
    const first = await new Promise<Buffer>((resolve) => socket.once("data", resolve));
    assert.match(first.toString(), /^HTTP\/1\.1 403 /, "with most of the body to come");
    socket.destroy();
    await isServed();
  });

  it("asked to change properties, refuses each; of what is not there, says so", async () => {
    const change = `<propertyupdate ${DAV}><set><prop><displayname>a</displayname></prop></set><remove><prop><x xmlns="urn:y"/></prop></remove></propertyupdate>`;
    const answer = await ask(`${bed.url}/set/v1/x`, "PROPPATCH", {}, change);
    assert.equal(answer.status, 207);
    const protectedOne =
      /<D:displayname\/><\/D:prop><D:status>HTTP\/1\.1 403 Forbidden<\/D:status><D:error><D:cannot-modify-protected-property\/>/;
    assert.match(answer.text, protectedOne);
    assert.match(answer.text, /<x xmlns="urn:y"\/><\/D:prop><D:status>HTTP\/1\.1 403 Forbidden/);
    assert.equal((await ask(`${bed.url}/set/v1/y`, "PROPPATCH", {}, change)).status, 404);
    for (const body of ["", ALL, `<propertyupdate ${DAV}><set><prop/></set></propertyupdate>`]) {
      assert.equal((await ask(`${bed.url}/set/v1/x`, "PROPPATCH", {}, body)).status, 400);
    }
  });

  it("asked what it can, says that it is of class 1, without locks", async () => {
    for (const path of ["/", "/set/v1/x", "/nothing"]) {
      const { status, headers } = await ask(`${bed.url}${path}`, "OPTIONS", {
        origin: "https://other.example",
      });
      assert.deepEqual([status, headers.get("dav"), headers.get("ms-author-via")], [200, "1, 3", "DAV"]);
      assert.equal(headers.get("access-control-allow-origin"), null);
    }
  });

  it("asked by 200 at once, some of whom read nothing, answers the others", async () => {
    const silent = Array.from({ length: 50 }, () => {
      const socket = net.connect(Number(new URL(bed.url).port), "127.0.0.1");
      socket.on("error", () => undefined);
      socket.pause();
      socket.write("PROPFIND /webdav/set/v1/many/ HTTP/1.1\r\nhost: a\r\ndepth: 1\r\n\r\n".repeat(20));
      return socket;
    });
    const answers = await Promise.all(
      Array.from({ length: 200 }, () => ask(`${bed.url}/set/v1/many/`, "PROPFIND", { depth: "1" }, ALL)),
    );
    for (const { status, text } of answers) {
      assert.deepEqual([status, text.match(/<D:response>/g)?.length], [207, 301]);
    }
    for (const socket of silent) socket.destroy();
    await isServed();
  });
});
