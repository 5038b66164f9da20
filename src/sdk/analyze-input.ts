/** What an analysis reads, whichever client it is asked of. */
import { AetherError } from "../base/errors.ts";
import { ANALYZE_VERSIONS_MAX } from "../base/limits.ts";
import type { AnalyzeInput } from "../dataset/analyze/contract.ts";
import type { Digest } from "../format/digest.ts";
import type { DatasetName } from "../format/reference.ts";
import type { AnalyzeOptions, Client } from "./client.ts";

/** Versions that are there, and the dataset that they are read from: undefined when there are none. */
export interface DatasetInput {
  readonly name: DatasetName | undefined;
  readonly input: AnalyzeInput;
}

/** Finds the versions. Errors: ARGUMENT_INVALID; those of Client.history. */
export async function analyzeInput(
  client: Pick<Client, "history">,
  options: AnalyzeOptions,
): Promise<DatasetInput> {
  if (!("last" in options)) {
    const { against, source, input, exclude, skipUnreadable, ...limits } = options;
    const own = {
      source,
      ...(input === undefined ? {} : { input }),
      ...(exclude === undefined ? {} : { exclude }),
      ...(skipUnreadable === undefined ? {} : { skipUnreadable }),
    };
    const versions = against === undefined ? [] : [against.version];
    return { name: against?.name, input: { ...limits, versions, source: own } };
  }
  const { name, tag, last, ...limits } = options;
  if (!Number.isInteger(last) || last < 2 || last > ANALYZE_VERSIONS_MAX) {
    throw new AetherError(
      "ARGUMENT_INVALID",
      `the last 2 to ${ANALYZE_VERSIONS_MAX} versions can be compared, not ${last}`,
    );
  }
  const found = new Set<Digest>();
  const call = limits.signal === undefined ? {} : { signal: limits.signal };
  for await (const { state, digest } of client.history(name, tag, call)) {
    if (state !== "deleted") found.add(digest);
    if (found.size === last) break;
  }
  return { name, input: { ...limits, versions: [...found].reverse() } };
}
