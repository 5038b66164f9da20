import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AetherError } from "../base/errors.ts";
import { openLog, type LogOptions } from "./log.ts";

function linesOf(options: Omit<LogOptions, "write">): { lines: string[]; log: ReturnType<typeof openLog> } {
  const lines: string[] = [];
  return { lines, log: openLog({ ...options, write: (line) => void lines.push(line) }) };
}

describe("a log", () => {
  it("as JSON, is one object a line, with time, level, message and facts", () => {
    const { lines, log } = linesOf({ level: "info", format: "json" });
    log.info({ port: 8080, name: "a\nb" }, "ready");
    log.debug({}, "not told at this level");
    assert.equal(lines.length, 1);
    const { time, ...rest } = JSON.parse(lines[0] ?? "") as Record<string, unknown>;
    assert.match(String(time), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    assert.deepEqual(rest, { level: "info", port: 8080, name: "a\nb", msg: "ready" });
  });

  it("as text, keeps what clients sent on the line, and tells an error with its cause", () => {
    const { lines, log } = linesOf({ level: "debug", format: "text" });
    log.warn({ path: "/a\n2026 ERROR forged", peer: "127.0.0.1" }, "refused");
    const cause = new Error("the cause of it");
    log.error({ err: new AetherError("INTERNAL", "outer", { cause }) }, "failed");
    assert.match(lines[0] ?? "", /^\S+Z WARN {2}refused path="\/a\\n2026 ERROR forged" peer=127\.0\.0\.1\n$/);
    assert.match(lines[1] ?? "", /ERROR failed err=\{.*outer.*the cause of it.*\}\n$/);
    for (const line of lines) assert.equal(line.indexOf("\n"), line.length - 1);
  });
});
