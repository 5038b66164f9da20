/**
 * What Windows' redirector and macOS's WebDAVFS send, as the operators of other servers recorded it. Neither runs here.
 * OPTIONS and PROPFIND of the port's root: golang/go#11177, nextcloud/server#2979, owncloud-archive/documentation#2668; of the files that they
 * look for everywhere: arut/nginx-dav-ext-module#1, dgraziotin/docker-nginx-webdav-nononsense#8, https://sabre.io/dav/clients/finder/.
 */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { temporaryFolder } from "../../src/dataset/testing/folder.ts";
import { connect } from "../../src/sdk/index.ts";
import { openHub, type TestHub } from "../hub/test-hub.ts";
import { ask, type DavAnswer } from "./webdav-bed.ts";

const WINDOWS = {
  "user-agent": "Microsoft-WebDAV-MiniRedir/10.0.19045",
  translate: "f",
  pragma: "no-cache",
  "cache-control": "no-cache",
};
const MAC = { "user-agent": "WebDAVFS/3.0.0 (03008000) Darwin/23.5.0 (arm64)", accept: "*/*" };
const MAC_BODY = `<?xml version="1.0" encoding="utf-8"?>
<D:propfind xmlns:D="DAV:"><D:prop><D:getlastmodified/><D:getcontentlength/><D:creationdate/><D:resourcetype/></D:prop></D:propfind>`;
const MAC_QUOTA = `<?xml version="1.0" encoding="utf-8"?>
<D:propfind xmlns:D="DAV:"><D:prop><D:quota-available-bytes/><D:quota-used-bytes/><D:quota/><D:quotaused/></D:prop></D:propfind>`;
const WINDOWS_TIMES = `<?xml version="1.0" encoding="utf-8" ?><D:propertyupdate xmlns:D="DAV:" xmlns:Z="urn:schemas-microsoft-com:"><D:set><D:prop><Z:Win32LastAccessTime>Sat, 28 Nov 2026 10:00:00 GMT</Z:Win32LastAccessTime><Z:Win32FileAttributes>00000000</Z:Win32FileAttributes></D:prop></D:set></D:propertyupdate>`;
const LOCK = `<?xml version="1.0" encoding="utf-8"?>
<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype><D:owner><D:href>me</D:href></D:owner></D:lockinfo>`;

let hub: TestHub;
let folder: ReturnType<typeof temporaryFolder>;
let origin: string;
before(async () => {
  folder = temporaryFolder();
  const source = join(folder.path, "source");
  mkdirSync(join(source, "sub"), { recursive: true });
  writeFileSync(join(source, "report.docx"), "content");
  hub = await openHub();
  origin = new URL(hub.url).origin;
  const client = connect(hub.host, { cacheDir: join(folder.path, "cache") });
  try {
    await hub.push(client, source, ["set:v1"]);
  } finally {
    await client.close();
  }
});
after(async () => {
  await hub.close();
  folder.remove();
});

function hrefs({ text }: DavAnswer): string[] {
  return [...text.matchAll(/<D:href>([^<]*)<\/D:href>/g)].map(([, href = ""]) => href);
}

describe("Explorer", () => {
  const send = (method: string, path: string, headers = {}, body?: string): Promise<DavAnswer> =>
    ask(`${origin}${path}`, method, { ...WINDOWS, ...headers }, body);

  it("mapping a folder, is told at the port's root that there is WebDAV, and finds each folder on the way", async () => {
    for (const path of ["/", "/webdav/set/v1"]) {
      const { status, headers } = await send("OPTIONS", path);
      assert.deepEqual([status, headers.get("dav"), headers.get("ms-author-via")], [200, "1, 3", "DAV"]);
      assert.ok(headers.get("allow")?.includes("PROPFIND"));
    }
    for (const path of ["/", "/webdav", "/webdav/set", "/webdav/set/v1"]) {
      const { status, text } = await send("PROPFIND", path, { depth: "0", "content-length": "0" });
      assert.equal(status, 207, path);
      // Its parser knows the namespace by a prefix alone (golang/go#11177).
      assert.match(text, /<D:resourcetype><D:collection\/><\/D:resourcetype>/);
    }
    assert.deepEqual(hrefs(await send("PROPFIND", "/", { depth: "1" })), ["/", "/webdav/"]);
    const listed = await send("PROPFIND", "/webdav/set/v1", { depth: "1" });
    assert.deepEqual(hrefs(listed), ["/webdav/set/v1/", "/webdav/set/v1/report.docx", "/webdav/set/v1/sub/"]);
  });

  it("looking for what folders have on Windows, is told that it is not there", async () => {
    for (const name of [
      "desktop.ini",
      "Desktop.ini",
      "Autorun.inf",
      "folder.jpg",
      "Thumbs.db",
      "sub/desktop.ini",
    ]) {
      assert.equal((await send("PROPFIND", `/webdav/set/v1/${name}`, { depth: "0" })).status, 404, name);
    }
    for (const path of ["/desktop.ini", "//set/v1", "/webdav/desktop.ini", "/webdav/set/desktop.ini"]) {
      assert.equal((await send("PROPFIND", path, { depth: "0" })).status, 404, path);
    }
  });

  it("opening a file, reads it, and is refused each step towards changing it", async () => {
    const path = "/webdav/set/v1/report.docx";
    assert.equal((await send("HEAD", path)).status, 200);
    assert.equal((await send("GET", path)).text, "content");
    const headers = { timeout: "Second-3600", "content-type": 'text/xml; charset="utf-8"' };
    assert.equal((await send("LOCK", path, headers, LOCK)).status, 403);
    const times = await send("PROPPATCH", path, {}, WINDOWS_TIMES);
    assert.equal(times.status, 207);
    assert.match(times.text, /Win32FileAttributes xmlns="urn:schemas-microsoft-com:"[^]*403 Forbidden/);
    assert.equal((await send("PUT", path, {}, "other")).status, 403);
    assert.equal((await send("UNLOCK", path, { "lock-token": "<urn:uuid:1>" })).status, 403);
    assert.equal((await send("GET", path)).text, "content");
  });
});

describe("Finder", () => {
  const send = (method: string, path: string, headers = {}, body?: string): Promise<DavAnswer> =>
    ask(`${origin}/webdav/set/v1${path}`, method, { ...MAC, ...headers }, body);

  it("connecting, is told of class 1, which it mounts for reading, and of no quota", async () => {
    const { status, headers } = await send("OPTIONS", "/");
    assert.deepEqual([status, headers.get("dav")], [200, "1, 3"]);
    const top = await send("PROPFIND", "/", { depth: "0" }, MAC_BODY);
    assert.match(top.text, /<D:collection\/>/);
    const quota = await send("PROPFIND", "/", { depth: "0" }, MAC_QUOTA);
    assert.equal(quota.status, 207);
    assert.match(quota.text, /<D:quota-available-bytes\/>[^]*404 Not Found/);
    assert.equal(hrefs(await send("PROPFIND", "/", { depth: "1" }, MAC_BODY)).length, 3);
  });

  it("looking for what volumes have on a Mac, is told that it is not there", async () => {
    const names = [
      "mach_kernel",
      ".Spotlight-V100",
      ".metadata_never_index",
      ".ql_disablethumbnails",
      ".localized",
    ];
    names.push("._.", "Backups.backupdb", ".hidden", ".DS_Store", "._.DS_Store", "._report.docx", "Contents");
    for (const name of names) {
      assert.equal((await send("PROPFIND", `/${name}`, { depth: "0" }, MAC_BODY)).status, 404, name);
    }
    const above = await ask(`${origin}/webdav/._.`, "PROPFIND", { ...MAC, depth: "0" }, MAC_BODY);
    assert.equal(above.status, 404);
  });

  it("opening a file, reads it in parts, and is refused to leave anything beside it", async () => {
    const part = await send("GET", "/report.docx", { range: "bytes=0-3" });
    assert.deepEqual([part.status, part.text], [206, "cont"]);
    for (const name of ["._report.docx", ".DS_Store"]) {
      assert.equal((await send("PUT", `/${name}`, {}, "x")).status, 403);
      assert.equal((await send("LOCK", `/${name}`, { depth: "0" }, LOCK)).status, 403);
    }
  });
});
