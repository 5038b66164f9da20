/** A hub over TLS, as the command line reaches it. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { makeCertificate } from "../../test/certificate.ts";
import { requirePeer } from "../../test/peers.ts";
import { comparable, readFolder } from "../dataset/testing/folder.ts";
import { HubBed } from "./testing/hub-bed.ts";

const LAUNCHER = fileURLToPath(new URL("../../bin/aetherfs", import.meta.url));
const execute = promisify(execFile);

describe("a hub over TLS", () => {
  it("takes a push and gives a pull to who trusts it, and nothing to others", async (t) => {
    if (!requirePeer(t, "openssl")) return;
    const bed = new HubBed();
    try {
      const { certFile, keyFile } = makeCertificate(bed.path("hub"));
      await bed.start({ caFile: undefined, certFile, keyFile, reloadMs: 60_000 });
      const source = bed.write("source", { "a.txt": "one\n", "large.bin": Buffer.alloc(2_000_000, "x") });
      const env = { PATH: process.env["PATH"], HOME: bed.path("home"), HUB: bed.address };
      const run = (...words: string[]) => execute(LAUNCHER, words, { env, timeout: 60_000 });
      const tls = ["--tls_enable", "--tls_ca_file", certFile];
      await run("push", ...tls, "-t", "x:latest", source);
      await run("pull", ...tls, "--into", bed.path("target"), "x");
      assert.deepEqual(comparable(readFolder(bed.path("target"))), comparable(readFolder(source)));
      await assert.rejects(run("ls", "--tls_enable"), { code: 8, stderr: /HUB_UNAVAILABLE: .*self-signed/ });
      await assert.rejects(run("ls"), { code: 8, stderr: /HUB_UNAVAILABLE: / });
      const missing = { code: 2, stderr: /CONFIG_INVALID: the certificate file .*none\.crt cannot be read/ };
      await assert.rejects(run("ls", "--tls_enable", "--tls_ca_file", bed.path("none.crt")), missing);
    } finally {
      await bed.close();
    }
  });
});
