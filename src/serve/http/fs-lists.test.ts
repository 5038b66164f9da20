/** Lists under /fs. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { OPEN_ACCESS, type Access } from "../../auth/access.ts";
import { AetherError } from "../../base/errors.ts";
import { digestOf } from "../../format/digest.ts";
import { openFsBed, type FsBed } from "./testing/fs-bed.ts";

const run = promisify(execFile);
const AWKWARD = 'a b%2F"<i>&?#:\u00e9';
const MANY = 2500;
const JSON_TYPE = { accept: "application/json" };

let bed: FsBed;
let url: string;
let version: string;

before(async () => {
  bed = await openFsBed();
  ({ url } = bed);
  const { push } = bed;
  push.write("index.html", "<script>alert(1)</script>");
  push.write("notes/hello.txt", "hello world");
  push.write(`notes/${AWKWARD}/x`, "awkward");
  await run("ln", ["-s", "hello.txt", `${push.source}/notes/near`]);
  await run("ln", ["-s", "../notes", `${push.source}/notes/loop`]);
  await run("touch", ["-d", "2020-02-03T04:05:06.5Z", `${push.source}/notes/hello.txt`]);
  for (let index = 0; index < MANY; index++) push.write(`many/f${index}`, "");
  version = await bed.publish("set:v1", "set:latest");
  await bed.publish("@team/set:v1");
});

after(async () => {
  await bed.close();
});

function ask(path: string, headers: Record<string, string> = {}, method = "GET"): Promise<Response> {
  return bed.ask(path, headers, method);
}

async function codeOf(response: Response): Promise<[number, unknown]> {
  return [response.status, ((await response.json()) as { code: unknown }).code];
}

describe("a list under /fs", () => {
  it("asked for as JSON, has every item with its facts", async () => {
    const accept = "application/json";
    const folder = await ask("/fs/set/v1/notes/", { accept });
    assert.equal(folder.headers.get("content-type"), accept);
    const { version: said, entries } = (await folder.json()) as { version: string; entries: object[] };
    assert.equal(said, version);
    const hello = entries.find((entry) => "name" in entry && entry.name === "hello.txt");
    const digest = `sha256:${digestOf(Buffer.from("hello world"))}`;
    const mtime = "2020-02-03T04:05:06.500000000Z";
    assert.deepEqual(hello, { name: "hello.txt", kind: "file", mode: 0o644, mtime, size: 11, digest });
    assert.equal(entries.length, 4);
    const tags = (await (await ask("/fs/set/", { accept })).json()) as {
      tags: { tag: string; version: string }[];
    };
    assert.deepEqual([tags.tags[1]?.tag, tags.tags[1]?.version], ["v1", version]);
    const tag = tags.tags.find((one) => one.tag === "latest");
    const { datasets } = (await (await ask("/fs/", { accept })).json()) as { datasets: object[] };
    const latest: Record<string, unknown> = { ...tag };
    delete latest["tag"];
    assert.deepEqual(datasets, [
      { name: "@team/set", latest: null },
      { name: "set", latest },
    ]);
    assert.deepEqual(Object.keys(latest), ["version", "time", "files", "bytes"]);
  });

  it("asked for by a browser, links to every item, whatever its name, and runs nothing", async () => {
    const folder = await ask("/fs/set/v1/notes/", { accept: "text/html,application/xhtml+xml,*/*;q=0.8" });
    assert.match(folder.headers.get("content-security-policy") ?? "", /default-src 'none'/);
    const html = await folder.text();
    assert.ok(!html.includes("<i>"), "names are escaped");
    const links = Array.from(html.matchAll(/href="([^"]*)"/g), ([, link = ""]) => link);
    const base = `${url}/fs/set/v1/notes/`;
    const below = links.map((link) => new URL(link, base).href).filter((link) => link.includes("a%20b"));
    assert.equal(below.length, 1);
    const dotted = links.filter((link) => link.startsWith("./"));
    assert.deepEqual(dotted, [`./${encodeURIComponent(AWKWARD)}/`], "only a name with a colon needs it");
    assert.equal(await (await fetch(`${below[0] ?? ""}x`)).text(), "awkward");
    const top = await (await ask("/fs/")).text();
    assert.match(top, /href="%40team\/set\/"/);
  });

  it("with a link to a folder, leads there as to a folder, and from there through no other link", async () => {
    const linksOf = async (path: string): Promise<string[]> => {
      const html = await (await ask(path, { accept: "text/html" })).text();
      return Array.from(html.matchAll(/href="([^"]*)"/g), ([, link = ""]) => link);
    };
    const first = await linksOf("/fs/set/v1/notes/");
    assert.ok(first.includes("loop/") && first.includes("near"));
    const behind = await linksOf("/fs/set/v1/notes/loop/");
    assert.ok(behind.includes("loop") && !behind.includes("loop/"));
    assert.ok(
      behind.some((link) => link.endsWith("%3A%C3%A9/")),
      "folders are gone through",
    );
  });

  it("asked for without its slash, is found with it; asked for again by its ETag, is not sent", async () => {
    for (const [path, location] of [
      ["/fs", "/fs/"],
      ["/fs/@team/set", "/fs/@team/set/"],
      ["/fs/set/v1?a=b", "/fs/set/v1/?a=b"],
      ["/fs/set/v1/notes", "/fs/set/v1/notes/"],
      [`/fs/set/${version}`, `/fs/set/${version}/`],
    ] as const) {
      const answer = await ask(path);
      assert.equal(answer.status, 308, path);
      const led = new URL(answer.headers.get("location") ?? "", `${url}${path}`);
      assert.equal(decodeURIComponent(led.href), `${url}${location}`);
    }
    const first = await ask("/fs/set/v1/");
    await first.arrayBuffer();
    const etag = first.headers.get("etag") ?? "";
    assert.equal((await ask("/fs/set/v1/", { "if-none-match": etag })).status, 304);
    assert.equal((await ask("/fs/set/v1/", { "if-none-match": etag, ...JSON_TYPE })).status, 200);
    assert.equal((await ask("/fs/set/v1/", {}, "HEAD")).status, 200);
  });

  it("of what nobody may read, is refused; datasets that may not be listed are left out", async () => {
    const closed: Access = {
      identify: (headers) => OPEN_ACCESS.identify(headers),
      check: async (_identity, _action, dataset) => {
        if (dataset !== "set") throw new AetherError("ACCESS_DENIED", `not for you`);
      },
    };
    const other = await bed.listen(closed);
    try {
      const refused = await fetch(`${other.url}/fs/@team/set/v1/big.bin`);
      assert.deepEqual(await codeOf(refused), [403, "ACCESS_DENIED"]);
      const accept = { accept: "application/json" };
      const answer = await fetch(`${other.url}/fs/`, { headers: accept });
      const all = (await answer.json()) as { datasets: { name: string }[] };
      assert.deepEqual(
        all.datasets.map(({ name }) => name),
        ["set"],
      );
    } finally {
      other.close();
    }
  });

  it("asked for in pages, has every item once, in order, of one version, also when the tag moves meanwhile", async () => {
    const names: string[] = [];
    let at: string | null = `${url}/fs/set/v1/many/?limit=1000`;
    while (at !== null) {
      const answer: Response = await fetch(at, { headers: JSON_TYPE });
      const page = (await answer.json()) as {
        version: string;
        entries: { name: string }[];
        next: string | null;
      };
      assert.equal(page.version, version);
      names.push(...page.entries.map(({ name }) => name));
      at = page.next === null ? null : new URL(page.next, at).href;
      if (names.length === 1000) {
        bed.push.write("many/extra", "");
        await bed.publish("set:v1");
      }
    }
    const expected = Array.from({ length: MANY }, (_, index) => `f${index}`).sort();
    assert.deepEqual(names, expected);
    const whole = (await (await ask("/fs/set/v1/many/", JSON_TYPE)).json()) as {
      entries: object[];
      next: unknown;
    };
    assert.deepEqual([whole.entries.length, whole.next], [MANY + 1, null]);
  });

  it("of tags or datasets, asked for in pages, has each once", async () => {
    for (const [path, member, expected] of [
      ["/fs/", "datasets", ["@team/set", "set"]],
      ["/fs/set/", "tags", ["latest", "v1"]],
      ["/fs/@team/", "datasets", ["@team/set"]],
    ] as const) {
      const names: unknown[] = [];
      let at: string | null = `${url}${path}?limit=1`;
      while (at !== null) {
        const page = (await (await fetch(at, { headers: JSON_TYPE })).json()) as {
          [list: string]: { name?: string; tag?: string }[];
        } & { next: string | null };
        const items = page[member] ?? [];
        assert.ok(items.length <= 1);
        names.push(...items.map(({ name, tag }) => name ?? tag));
        at = page.next === null ? null : new URL(page.next, at).href;
      }
      assert.deepEqual(names, expected);
    }
    for (const query of [
      "limit=0",
      "limit=x",
      "limit=-1",
      "limit=9999999999",
      "archive=rar",
      "archive=tar",
    ]) {
      assert.deepEqual(await codeOf(await ask(`/fs/?${query}`)), [400, "ARGUMENT_INVALID"], query);
    }
  });

  it("asked for by a person, says what things are, leads up and on, and needs no script", async () => {
    const folder = await (await ask("/fs/set/latest/notes/")).text();
    assert.match(folder, /<span title="11 bytes">11 B<\/span>/);
    assert.match(folder, /<span title="2020-02-03T04:05:06.500000000Z">2020-02-03 04:05<\/span>/);
    const base = `${url}/fs/set/latest/notes/`;
    const heading = /<h1>(.*)<\/h1>/.exec(folder)?.[1] ?? "";
    const crumbs = Array.from(heading.matchAll(/href="([^"]*)">([^<]*)</g), ([, link = "", name]) => [
      new URL(link, base).pathname,
      name,
    ]);
    assert.deepEqual(crumbs, [
      ["/fs/", "Datasets"],
      ["/fs/set/", "set"],
      ["/fs/set/latest/", "latest"],
    ]);
    assert.match(folder, /<button name="archive" value="zip">/);
    assert.ok(!folder.includes("<script"));
    const page = await (await ask("/fs/set/latest/many/?limit=10")).text();
    const next = /rel="next" href="([^"]*)"/.exec(page)?.[1]?.replaceAll("&amp;", "&") ?? "";
    assert.equal((await fetch(new URL(next, `${url}/fs/set/latest/many/`))).status, 200);
    const tags = await (await ask("/fs/set/")).text();
    assert.match(tags, /<td><span title="\d+ bytes">\d+ B<\/span><\/td><td><span title="20[^"]*Z">20/);
    const empty = await (await ask("/fs/@nobody/")).text();
    assert.match(empty, /Nothing here/);
  });
});
