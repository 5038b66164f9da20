/** PROPFIND, met by curl's like: fetch for what it says, xmllint for its form. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, symlinkSync, utimesSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, describe, it } from "node:test";
import { AetherError } from "../../src/base/errors.ts";
import { systemClock } from "../../src/base/clock.ts";
import { requirePeer } from "../peers.ts";
import { ask, openWebdavBed, watched, type DavAnswer, type WebdavBed } from "./webdav-bed.ts";

const SCHEMA = fileURLToPath(new URL("multistatus.rng", import.meta.url));
const AWKWARD = [
  "a b",
  "100%",
  "<tag>&'\"",
  "caf\u00e9",
  "cafe\u0301",
  "back\\slash",
  "line\nbreak",
  "\u0001",
  "🗺️",
];
const MANY = 3000;
const DAV = 'xmlns="DAV:"';

let bed: WebdavBed;
let version: string;

before(async () => {
  bed = await openWebdavBed();
  const { push } = bed;
  push.write("notes/hello.txt", "hello world");
  for (const name of AWKWARD) push.write(`names/${name}`, name);
  for (let index = 0; index < MANY; index++) push.write(`many/${index}`, "");
  mkdirSync(join(push.source, "empty"));
  symlinkSync("hello.txt", join(push.source, "notes/near"));
  symlinkSync("../notes", join(push.source, "notes/again"));
  symlinkSync("nowhere", join(push.source, "notes/nothing"));
  utimesSync(join(push.source, "notes/hello.txt"), 1_580_702_706, 1_580_702_706);
  version = await bed.publish("set:v1");
  await bed.publish("@team/set:v1");
  await bed.publish("@team/other:v1");
});

after(() => bed.close());

function propfind(
  path: string,
  depth: string | undefined,
  body?: string | Uint8Array<ArrayBuffer>,
): Promise<DavAnswer> {
  return ask(`${bed.url}${path}`, "PROPFIND", depth === undefined ? {} : { depth }, body);
}

function hrefs({ text }: DavAnswer): string[] {
  return [...text.matchAll(/<D:href>([^<]*)<\/D:href>/g)].map(([, href = ""]) => href);
}

function value({ text }: DavAnswer, name: string): string | undefined {
  return new RegExp(`<D:${name}>([^]*?)</D:${name}>`).exec(text)?.[1];
}

function codeOf({ status, text }: DavAnswer): [number, unknown] {
  return [status, (JSON.parse(text) as { code: unknown }).code];
}

/** Held to the schema by a parser that is not ours. */
async function checkForm({ text }: DavAnswer, xmllint: string): Promise<void> {
  const child = spawn(xmllint, ["--noout", "--nonet", "--relaxng", SCHEMA, "-"]);
  let said = "";
  child.stderr.on("data", (bytes: Buffer) => (said += bytes.toString()));
  child.stdin.end(text);
  const code = await new Promise((resolve) => child.once("close", resolve));
  assert.equal(code, 0, said.slice(0, 1000));
}

describe("PROPFIND", () => {
  it("of each place of the tree, tells of it and of what lies directly in it", async () => {
    for (const [path, expected] of [
      ["/", ["/webdav/", "/webdav/@team/", "/webdav/set/"]],
      ["", ["/webdav/", "/webdav/@team/", "/webdav/set/"]],
      ["/@team", ["/webdav/@team/", "/webdav/@team/other/", "/webdav/@team/set/"]],
      ["/set/", ["/webdav/set/", "/webdav/set/v1/"]],
      ["/set/v1/empty", ["/webdav/set/v1/empty/"]],
      [`/set/${version}/empty/`, [`/webdav/set/${version}/empty/`]],
      [`/%40team/set/@${version}/empty/`, [`/webdav/@team/set/@${version}/empty/`]],
      ["/set/v1/notes/hello.txt", ["/webdav/set/v1/notes/hello.txt"]],
    ] as const) {
      const answer = await propfind(path, "1");
      assert.equal(answer.status, 207, path);
      assert.deepEqual(hrefs(answer), expected);
      assert.deepEqual(hrefs(await propfind(path, "0")), expected.slice(0, 1));
    }
  });

  it("of a folder with links, shows what they lead to; behind a link, no folder again; what leads nowhere, never", async () => {
    const at = (path: string): string[] =>
      ["", "hello.txt", "near"].map((name) => `/webdav/set/v1/${path}/${name}`);
    const direct = hrefs(await propfind("/set/v1/notes", "1"));
    assert.deepEqual(direct.toSorted(), [...at("notes"), "/webdav/set/v1/notes/again/"].toSorted());
    assert.deepEqual(hrefs(await propfind("/set/v1/notes/again/", "1")), at("notes/again"));
    assert.equal((await propfind("/set/v1/notes/nothing", "0")).status, 404);
  });

  it("of depth infinity, or of none, is refused for a collection, and says why", async () => {
    for (const depth of ["infinity", "Infinity", undefined]) {
      const answer = await propfind("/set/v1/", depth);
      assert.equal(answer.status, 403);
      assert.match(answer.text, /<D:error xmlns:D="DAV:"><D:propfind-finite-depth\/><\/D:error>/);
      assert.equal((await propfind("/set/v1/notes/hello.txt", depth)).status, 207);
    }
    for (const depth of ["2", "-1", "1,noroot", "x".repeat(10_000)]) {
      assert.deepEqual(codeOf(await propfind("/set/v1/", depth)), [400, "ARGUMENT_INVALID"]);
    }
  });

  it("of a file, tells what GET tells of it", async () => {
    const answer = await propfind("/set/v1/notes/hello.txt", "0");
    const get = await ask(`${bed.url}/set/v1/notes/hello.txt`, "GET", { "accept-encoding": "identity" });
    assert.equal(get.text, "hello world");
    for (const [property, header] of [
      ["getcontentlength", "content-length"],
      ["getcontenttype", "content-type"],
      ["getetag", "etag"],
      ["getlastmodified", "last-modified"],
    ] as const) {
      assert.equal(value(answer, property), get.headers.get(header), property);
    }
    assert.equal(value(answer, "creationdate"), "2020-02-03T04:05:06Z");
    const { headers } = await ask(`${bed.url}/set/v1/notes/hello.txt`, "HEAD");
    assert.equal(headers.get("content-length"), "11");
    assert.match(headers.get("content-security-policy") ?? "", /sandbox/);
  });

  it("that names properties, gives those that there are, and a 404 for the others; all give no others", async () => {
    const body = `<p:propfind xmlns:p="DAV:" xmlns:a="https://aetherfs.dev/ns/webdav"><p:prop><p:getetag/><p:getetag/><a:digest/>
      <color xmlns="urn:x&amp;y"/><p:quota-used-bytes/><none xmlns=""/><xml:x/></p:prop><p:unknown><p:prop/></p:unknown></p:propfind>`;
    const { text } = await propfind("/set/v1/notes/hello.txt", "0", body);
    const [found = "", missing = ""] = text.split("</D:propstat>");
    assert.match(
      found,
      /<D:getetag>"[0-9a-f]{64}"<\/D:getetag><digest xmlns="[^"]+">sha256:[0-9a-f]{64}<\/digest>/,
    );
    assert.match(
      missing,
      /<color xmlns="urn:x&amp;y"\/><D:quota-used-bytes\/><none xmlns=""\/><xml:x\/>.*HTTP\/1\.1 404 Not Found/,
    );
    const ofTag = await propfind("/set/v1", "0", body);
    assert.ok(ofTag.text.includes(`>${version}</digest>`));
    assert.match(ofTag.text, /<D:getetag\/><\/D:prop><D:status>HTTP\/1\.1 404/, "a collection has none");
    const all = await propfind("/set/v1/notes/hello.txt", "0", `<propfind ${DAV}><allprop/></propfind>`);
    assert.equal(all.text, (await propfind("/set/v1/notes/hello.txt", "0")).text);
    assert.ok(!all.text.includes("404") && !all.text.includes("digest"));
    const include = `<propfind ${DAV}><allprop/><include><digest xmlns="https://aetherfs.dev/ns/webdav"/></include></propfind>`;
    assert.match((await propfind("/set/v1/notes/hello.txt", "0", include)).text, />sha256:/);
    const names = await propfind("/set/v1/notes/hello.txt", "0", `<propfind ${DAV}><propname/></propfind>`);
    assert.match(names.text, /<D:getetag\/><D:getlastmodified\/>/);
    assert.ok(
      !(await propfind("/set/v1/", "0", `<propfind ${DAV}><propname/></propfind>`)).text.includes("getetag"),
    );
  });

  it("of names with anything in them, has hrefs that lead there, and is XML", async (t) => {
    const xmllint = requirePeer(t, "xmllint");
    const answer = await propfind("/set/v1/names/", "1");
    const [, ...members] = hrefs(answer);
    const found = members.map((href) => decodeURIComponent(href.slice("/webdav/set/v1/names/".length)));
    assert.deepEqual(found.toSorted(), AWKWARD.toSorted());
    for (const href of members) {
      assert.equal((await ask(new URL(href, bed.url).href, "GET")).status, 200, href);
    }
    if (xmllint !== undefined) await checkForm(answer, xmllint);
  });

  it("of any kind and place, is as RFC 4918 has it, to xmllint", async (t) => {
    const xmllint = requirePeer(t, "xmllint");
    if (xmllint === undefined) return;
    const named = `<propfind ${DAV}><prop><getetag/><quota/><x xmlns="urn:a"/></prop></propfind>`;
    const bodies = [
      undefined,
      `<propfind ${DAV}><propname/></propfind>`,
      named,
      `<propfind ${DAV}><prop/></propfind>`,
    ];
    for (const path of [
      "/",
      "/@team/",
      "/set/",
      "/set/v1/",
      "/set/v1/notes/",
      "/set/v1/many/",
      "/set/v1/notes/hello.txt",
    ]) {
      for (const body of bodies) {
        const answer = await propfind(path, "1", body);
        assert.equal(answer.status, 207);
        await checkForm(answer, xmllint);
      }
    }
    const change = `<propertyupdate ${DAV}><set><prop><getetag/><x xmlns="urn:a">1</x></prop></set></propertyupdate>`;
    await checkForm(await ask(`${bed.url}/set/v1/`, "PROPPATCH", {}, change), xmllint);
  });

  it("in UTF-16 with a mark, is read; in what is no strict XML, or asks for nothing, is refused", async () => {
    const text = `\ufeff<?xml version="1.0" encoding="UTF-16"?><propfind ${DAV}><prop><getetag/></prop></propfind>`;
    const little = Buffer.from(text, "utf16le");
    for (const body of [little, Buffer.from(little).swap16()]) {
      assert.ok(value(await propfind("/set/v1/notes/hello.txt", "0", new Uint8Array(body)), "getetag"));
    }
    for (const body of [
      ...[
        " ",
        "no xml",
        "<propfind",
        `<propfind ${DAV}>`,
        `<propfind ${DAV}/>`,
        `<propfind><allprop/></propfind>`,
      ],
      ...[`<propfind ${DAV}><allprop/><propname/></propfind>`, `<propfind ${DAV}><prop/><prop/></propfind>`],
      ...[
        `<x:propfind><x:allprop/></x:propfind>`,
        `<propfind ${DAV}><prop><a:b xmlns:a=""/></prop></propfind>`,
      ],
      ...[`<propfind ${DAV}><prop><a:b/></prop></propfind>`, `<propfind ${DAV}><allprop/></propfind><x/>`],
      ...[
        `<propfind ${DAV}><allprop/>&nbsp;</propfind>`,
        `<propfind ${DAV} a="1" a="2"><allprop/></propfind>`,
      ],
      `<!DOCTYPE propfind><propfind ${DAV}><allprop/></propfind>`,
      `<?xml version="1.0" encoding="koi8-r"?><propfind ${DAV}><allprop/></propfind>`,
    ]) {
      const { status, text: said } = await propfind("/set/v1/", "0", body);
      assert.equal(status, 400, `${body} gives ${said}`);
      assert.match(said, /ARGUMENT_INVALID/);
    }
    assert.equal((await propfind("/set/v1/", "0", new Uint8Array([0x3c, 0xff, 0x3e]))).status, 400);
  });

  it("of what is not there, or can never be, is answered with 404; of a path that is none, with 400", async () => {
    for (const path of [
      ...["/nothing/", "/set/v2/", "/set/v1/x", "/set/v1/notes/hello.txt/", "/set/v1/notes/hello.txt/x"],
      ...["/.DS_Store", "/desktop.ini", "/set/._v1", "/@team/NO", `/set/sha256:${"0".repeat(64)}/`],
    ]) {
      assert.equal((await propfind(path, "0")).status, 404, path);
    }
    for (const path of ["/set/v1/a%2Fb", "/set/v1/%ff", "/set/v1/a//b", "/set/v1/%00"]) {
      assert.deepEqual(codeOf(await propfind(path, "0")), [400, "PATH_INVALID"], path);
    }
  });

  it("by who may not see a dataset, does not show it, and is refused in it", async () => {
    const url = await bed.listen({
      access: {
        identify: async () => ({ name: "guest" }),
        check: async (_identity, _action, name) => {
          if (name.startsWith("@")) throw new AetherError("ACCESS_DENIED", "not for guests");
        },
      },
    });
    assert.deepEqual(hrefs(await ask(`${url}/`, "PROPFIND", { depth: "1" })), ["/webdav/", "/webdav/set/"]);
    for (const path of ["/@team/set/", "/@team/set/v1/", "/@team/set/v1/notes/hello.txt"]) {
      assert.deepEqual(codeOf(await ask(`${url}${path}`, "PROPFIND", { depth: "0" })), [
        403,
        "ACCESS_DENIED",
      ]);
      assert.equal((await ask(`${url}${path}`, "GET")).status, 403);
    }
  });
});

/** Opens a connection and asks for a long answer: each entry tells some KiB. Nothing is read of it yet. */
function askLong(url: string, path: string): net.Socket {
  const names = Array.from(
    { length: 100 },
    (_, index) => `<n${index}${"x".repeat(100)} xmlns="urn:x"/>`,
  ).join("");
  const body = `<propfind ${DAV}><prop><getetag/>${names}</prop></propfind>`;
  const socket = net.connect(Number(new URL(url).port), "127.0.0.1");
  socket.on("error", () => undefined);
  socket.pause();
  const head = `PROPFIND /webdav${path} HTTP/1.1\r\nhost: a\r\ndepth: 1\r\nconnection: close\r\n`;
  socket.write(`${head}content-length: ${body.length}\r\n\r\n${body}`);
  return socket;
}

async function restOf(socket: net.Socket): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of socket) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString();
}

describe("PROPFIND of many", () => {
  it("is read as fast as the client takes it, and stays with the version that the tag named", async () => {
    bed.push.write("more", "");
    await bed.publish("moving:tag");
    let batches = 0;
    const url = await bed.listen({ tree: (tree) => watched(tree, () => batches++) });
    const all = await ask(`${url}/moving/tag/many/`, "PROPFIND", { depth: "1" });
    const whole = batches;
    assert.equal(hrefs(all).length, MANY + 1);
    assert.ok(whole >= 3, `${whole} batches`);
    batches = 0;
    const socket = askLong(url, "/moving/tag/many/");
    let before = -1;
    // Until nothing moves any more.
    while (batches !== before || batches === 0) {
      before = batches;
      await systemClock.sleep(200);
    }
    assert.ok(batches < whole, `${batches} of ${whole} batches, with nobody reading`);
    bed.push.write("many/zzz", "new");
    await bed.publish("moving:tag");
    const text = await restOf(socket);
    assert.equal(text.match(/<D:href>/g)?.length, MANY + 1);
    assert.ok(text.includes("</D:multistatus>") && !text.includes("zzz"));
  });

  it("that fails midway, breaks off: half a list is never a whole one", async () => {
    let batches = 0;
    const fail = (): void => {
      batches++;
      if (batches > 1) throw new AetherError("STORE_UNAVAILABLE", "the store has gone");
    };
    const url = await bed.listen({ tree: (tree) => watched(tree, fail) });
    const text = await restOf(askLong(url, "/set/v1/many/"));
    assert.match(text, /^HTTP\/1\.1 207 /);
    assert.ok(!text.includes("</D:multistatus>") && !text.endsWith("\r\n0\r\n\r\n"));
    const { status } = await ask(`${url}/set/v1/many/`, "PROPFIND", { depth: "1" });
    assert.equal(status, 503, "what fails at once is an error's status");
  });
});
