/** `aetherfs run`, as a process. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { request, type ClientRequest } from "node:http";
import { join } from "node:path";
import { describe, it } from "node:test";
import { startHubProcess, withHubProcess } from "../hub/hub-process.ts";

async function health(url: string): Promise<number> {
  return (await fetch(`${url}/healthz`)).status;
}

describe("aetherfs run", () => {
  it("with nothing said, serves a store in the data folder, and ends well with SIGTERM", async () => {
    await withHubProcess({}, async (hub, home) => {
      assert.equal(await health(hub.url), 200);
      assert.equal((await fetch(`${hub.url}/readyz`)).status, 200);
      assert.ok(existsSync(join(home, ".local/share/aetherfs")));
      const ready = hub.log.find((entry) => entry["msg"] === "ready");
      assert.deepEqual([ready?.["level"], typeof ready?.["startMs"]], ["info", "number"]);
      assert.ok(hub.log.some(({ level, msg }) => level === "warn" && /everybody/.test(String(msg))));
      hub.kill("SIGTERM");
      assert.equal(await hub.ended, 0);
      assert.equal(hub.log.at(-1)?.["msg"], "stopped");
    });
  });

  it("stopped while a request is under way, finishes it and refuses others", async () => {
    await withHubProcess({}, async (hub) => {
      const answer = Promise.withResolvers<number>();
      const post = beginPost(hub.url);
      post.on("response", (response) => {
        response.resume();
        answer.resolve(response.statusCode ?? 0);
      });
      post.on("error", answer.reject);
      await new Promise((resolve) => post.write("{", resolve));
      await health(hub.url);
      hub.kill("SIGTERM");
      while (!hub.log.some(({ msg }) => String(msg).startsWith("stopping"))) await pause();
      while ((await health(hub.url).catch(() => 0)) === 200) await pause();
      post.end("}");
      assert.equal(await answer.promise, 404);
      assert.equal(await hub.ended, 0);
    });
  });

  it("stopped twice, ends at once", async () => {
    await withHubProcess({}, async (hub) => {
      const post = beginPost(hub.url);
      post.on("error", () => undefined);
      await new Promise((resolve) => post.write("{", resolve));
      await health(hub.url);
      hub.kill("SIGINT");
      while (!hub.log.some(({ msg }) => String(msg).startsWith("stopping"))) await pause();
      hub.kill("SIGINT");
      assert.equal(await hub.ended, 130);
      post.destroy();
    });
  });

  it("told to write text, writes lines for people", async () => {
    await withHubProcess({ environment: { LOG_FORMAT: "text" } }, async (hub) => {
      assert.match(String(hub.log[0]?.["line"]), /^\S+Z INFO {2}ready .*url=http:\/\//);
    });
  });

  it("at a port that is taken, with a setting that is not there yet, or nowhere to keep data, says so", async () => {
    await withHubProcess({}, async (hub, home) => {
      const fails = (words: readonly string[], environment: Record<string, string>, message: RegExp) =>
        assert.rejects(startHubProcess({ words, environment, home }), message);
      await fails(["--port", String(hub.port)], {}, /ended with 2: .*CONFIG_INVALID.*listens there already/);
      await fails(["--web_enable"], {}, /ended with 9: .*FEATURE_UNSUPPORTED.*web_enable/);
      await fails([], { AUTH_TYPE: "oidc" }, /ended with 9: .*FEATURE_UNSUPPORTED.*auth_type/);
      await fails(["--storage_driver", "s3"], {}, /ended with 2: .*CONFIG_INVALID.*storage_s3_bucket/);
      await fails([], { HOME: "" }, /ended with 2: .*CONFIG_INVALID.*storage_file_path/);
      await fails(["--tls_enable"], {}, /ended with 2: .*CONFIG_INVALID.*tls_cert_file/);
      await fails(["--storage_file_path", "/dev/null/x"], {}, /ended with 6: /);
    });
  });
});

/** A request whose body is two bytes, and which is under way until they have come. */
function beginPost(url: string): ClientRequest {
  const headers = { "content-type": "application/json", "content-length": 2 };
  return request(`${url}/api/v1/catalog/a/tags/b:rollback`, { method: "POST", headers });
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 10));
}
