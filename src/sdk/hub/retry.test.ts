import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Clock } from "../../base/clock.ts";
import { AetherError } from "../../base/errors.ts";
import { toRpcError } from "../../rpc/rpc-error.ts";
import { patiently, unavailable, type Patience } from "./retry.ts";

/** A clock whose sleeps are over at once, and what was slept. */
function patience(waitMs: number): { readonly patience: Patience; readonly slept: number[] } {
  const slept: number[] = [];
  let nowMs = 0;
  const clock: Clock = {
    nowMs: () => nowMs,
    elapsedMs: () => nowMs,
    sleep: async (delayMs, signal) => {
      signal?.throwIfAborted();
      slept.push(delayMs);
      nowMs += delayMs;
      await Promise.resolve();
    },
  };
  const random = { fraction: () => 1, id: () => "" };
  return { patience: { clock, random, hub: "h:1", waitMs: () => waitMs }, slept };
}

/** Fails with each of the errors in turn, then gives the number of the call. */
function failing(...errors: readonly Error[]): (attempt: number) => Promise<number> {
  return (attempt) =>
    attempt < errors.length
      ? Promise.reject(errors[attempt] ?? new Error("no error"))
      : Promise.resolve(attempt);
}

describe("a call to a hub", () => {
  it("that is not answered, is made again after pauses that grow", async () => {
    const { patience: p, slept } = patience(60_000);
    const refused = new ConnectError("connect ECONNREFUSED", Code.Unavailable);
    const reset = new ConnectError("reset", Code.Aborted);
    const cut = new ConnectError("http/2 stream closed with error code INTERNAL_ERROR", Code.Internal);
    const stopping = toRpcError(new AetherError("HUB_UNAVAILABLE", "the hub is stopping"));
    assert.equal(
      await patiently(p, undefined, failing(refused, reset, cut, stopping, unavailable("h", "x"))),
      5,
    );
    assert.deepEqual(slept, [100, 200, 400, 800, 1600]);
  });

  it("that is not answered for too long, fails with HUB_UNAVAILABLE, saying why and what to do", async () => {
    const { patience: p, slept } = patience(1000);
    const refused = new ConnectError("connect ECONNREFUSED 1.2.3.4:5", Code.Unavailable);
    await assert.rejects(
      patiently(p, undefined, () => Promise.reject(refused)),
      {
        code: "HUB_UNAVAILABLE",
        message: /h:1 does not answer \(connect ECONNREFUSED 1\.2\.3\.4:5\): start one with `aetherfs run`/,
      },
    );
    assert.deepEqual(slept, [100, 200, 400]);
  });

  it("that is answered with an error of the table, fails with that one, at once", async () => {
    const { patience: p, slept } = patience(1000);
    const error = toRpcError(new AetherError("TAG_CONFLICT", "moved", { data: { tag: "t" } }));
    await assert.rejects(patiently(p, undefined, failing(error)), { code: "TAG_CONFLICT", message: "moved" });
    const internal = new ConnectError("a fault", Code.Internal);
    await assert.rejects(patiently(p, undefined, failing(internal)), { code: "INTERNAL" });
    assert.deepEqual(slept, []);
  });

  it("whose caller gives up, fails with the caller's reason, whatever the hub said", async () => {
    const { patience: p } = patience(60_000);
    const controller = new AbortController();
    const call = (): Promise<never> => {
      controller.abort(new Error("enough"));
      return Promise.reject(new ConnectError("canceled", Code.Canceled));
    };
    await assert.rejects(patiently(p, controller.signal, call), /enough/);
    await assert.rejects(patiently(p, controller.signal, failing()), /enough/);
  });
});
