import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { loadConfig } from "./load.ts";
import { tlsFilesOf, type TlsFiles } from "./tls-files.ts";

async function filesOf(
  role: "server" | "client",
  environment: Record<string, string>,
): Promise<TlsFiles | undefined> {
  return tlsFilesOf(await loadConfig("run", new Map(), environment), role);
}

describe("tlsFilesOf", () => {
  it("without tls_enable, gives none, whatever else is set", async () => {
    assert.equal(await filesOf("server", { TLS_CERT_PATH: "/c" }), undefined);
  });

  it("of a server with a folder alone, takes tls.crt and tls.key in it", async () => {
    const files = await filesOf("server", { TLS_ENABLE: "true", TLS_CERT_PATH: "/c", TLS_CA_FILE: "ca.crt" });
    assert.deepEqual(files, { caFile: "/c/ca.crt", certFile: "/c/tls.crt", keyFile: "/c/tls.key" });
  });

  it("of files with a full path, leaves the folder out", async () => {
    const environment = {
      TLS_ENABLE: "1",
      TLS_CERT_PATH: "/c",
      TLS_CERT_FILE: "/d/a.pem",
      TLS_KEY_FILE: "a.key",
    };
    assert.deepEqual(await filesOf("server", environment), {
      caFile: undefined,
      certFile: "/d/a.pem",
      keyFile: "/c/a.key",
    });
  });

  it("of a client, wants no certificate, but both or none", async () => {
    const none = { caFile: undefined, certFile: undefined, keyFile: undefined };
    assert.deepEqual(await filesOf("client", { TLS_ENABLE: "1" }), none);
    for (const [role, environment] of [
      ["client", { TLS_ENABLE: "1", TLS_CERT_FILE: "a" }],
      ["server", { TLS_ENABLE: "1" }],
    ] as const) {
      await assert.rejects(filesOf(role, environment), { code: "CONFIG_INVALID" });
    }
  });
});
