/** Progress on stderr. */
import type { Clock } from "../base/clock.ts";
import type { Progress } from "../dataset/contract.ts";
import { humanBytes, humanSeconds, humanShare } from "./human.ts";

/** Shows how far an operation is. */
export interface ProgressReporter {
  readonly report: (progress: Progress) => void;
  /** Takes what was shown off the terminal. */
  readonly stop: () => void;
}

/** Where progress goes, and in which form. */
export interface ProgressTarget {
  readonly form: "auto" | "none" | "json";
  readonly stream: NodeJS.WriteStream;
  readonly clock: Clock;
}

const LINES_PER_SECOND_MAX = 10;
const SILENT: ProgressReporter = { report: () => undefined, stop: () => undefined };

/** A reporter: a bar on a terminal, JSON lines when they are asked for, else nothing. */
export async function startProgress(target: ProgressTarget): Promise<ProgressReporter> {
  if (target.form === "json") return jsonLines(target);
  if (target.form === "none" || !target.stream.isTTY) return SILENT;
  return await bar(target);
}

function jsonLines({ stream, clock }: ProgressTarget): ProgressReporter {
  let phase: Progress["phase"] | undefined;
  let lastMs = -Infinity;
  const report = (progress: Progress): void => {
    const nowMs = clock.elapsedMs();
    const isSoon = nowMs - lastMs < 1000 / LINES_PER_SECOND_MAX;
    // A reader that does not keep up gets fewer lines: the work waits for nobody.
    if (stream.writableNeedDrain || (isSoon && progress.phase === phase)) return;
    ({ phase } = progress);
    lastMs = nowMs;
    const { files, bytes, reusedBytes, totalBytes = null } = progress;
    stream.write(`${JSON.stringify({ progress: { phase, files, bytes, totalBytes, reusedBytes } })}\n`);
  };
  return { report, stop: () => undefined };
}

/** The library is loaded only when a bar is shown. */
async function bar({ stream, clock }: ProgressTarget): Promise<ProgressReporter> {
  const { SingleBar, Presets } = (await import("cli-progress")).default;
  const single = new SingleBar(
    {
      stream,
      format: "{phase} {bar} {percent}  {done}  {rate}/s  {left}  reused {reused}",
      fps: LINES_PER_SECOND_MAX,
      barsize: 24,
      hideCursor: true,
      clearOnComplete: true,
      autopadding: false,
    },
    Presets.shades_classic,
  );
  const begunMs = clock.elapsedMs();
  single.start(1, 0, payloadOf(undefined, 0));
  const report = (progress: Progress): void => {
    const { bytes, totalBytes } = progress;
    single.setTotal(Math.max(totalBytes ?? 0, bytes, 1));
    single.update(totalBytes === undefined ? 0 : bytes, payloadOf(progress, clock.elapsedMs() - begunMs));
  };
  return { report, stop: () => single.stop() };
}

function payloadOf(progress: Progress | undefined, elapsedMs: number): Record<string, string> {
  const { phase = "walk", bytes = 0, totalBytes, reusedBytes = 0 } = progress ?? {};
  const rate = elapsedMs > 0 ? (bytes * 1000) / elapsedMs : 0;
  const isKnown = totalBytes !== undefined && rate > 0 && totalBytes >= bytes;
  return {
    phase: phase.padEnd("publish".length),
    percent: totalBytes === undefined ? "" : humanShare(bytes, totalBytes),
    done: totalBytes === undefined ? humanBytes(bytes) : `${humanBytes(bytes)} of ${humanBytes(totalBytes)}`,
    rate: humanBytes(rate),
    left: isKnown ? `${humanSeconds((totalBytes - bytes) / rate)} left` : "",
    reused: bytes === 0 ? "-" : humanShare(reusedBytes, bytes),
  };
}
