/** ListBuckets. "Amazon S3 API reference" */
import { codeOf } from "../../base/errors.ts";
import { parseDatasetName, type DatasetName } from "../../format/reference.ts";
import type { Caller, Tree } from "../../vfs/tree.ts";
import type { Answer } from "../answers.ts";
import { bucketNameOf } from "./buckets.ts";
import { countOf, OWNER, readToken, writeToken } from "./list-objects.ts";
import { element, leaf, xmlDocument } from "./xml.ts";

/** Buckets of one answer at most. */
const BUCKETS_MAX = 10_000;
const UNKNOWN_TIME = "1970-01-01T00:00:00.000Z";

/** Who asks for them. */
interface BucketsRequest {
  readonly tree: Tree;
  readonly caller: Caller;
  readonly query: ReadonlyMap<string, string>;
  /** Gives turns. */
  readonly answer: Pick<Answer, "inTurns">;
  readonly signal: AbortSignal;
}

/**
 * The datasets that the caller may see, in their order, as XML: scoped ones first. Buckets of one version are not listed.
 * Errors: S3Error InvalidArgument; those of Tree.datasets.
 */
export async function listBuckets({ tree, caller, query, answer, signal }: BucketsRequest): Promise<string> {
  const token = query.get("continuation-token") ?? "";
  const prefix = query.get("prefix") ?? "";
  const bucketsMax = Math.max(countOf(query, "max-buckets", BUCKETS_MAX), 1);
  const after = token === "" ? undefined : readToken(token, parseDatasetName);
  const buckets: string[] = [];
  let last: DatasetName | undefined;
  let next: string | undefined;
  for await (const name of answer.inTurns(tree.datasets(caller, { after, signal }))) {
    signal.throwIfAborted();
    const bucket = bucketNameOf(name);
    if (!bucket.startsWith(prefix)) continue;
    if (buckets.length === bucketsMax && last !== undefined) {
      next = writeToken(last);
      break;
    }
    const created = leaf("CreationDate", await createdAt(tree, caller, name));
    buckets.push(element("Bucket", leaf("Name", bucket), created));
    last = name;
  }
  return xmlDocument(
    "ListAllMyBucketsResult",
    OWNER,
    element("Buckets", ...buckets),
    leaf("ContinuationToken", next),
    leaf("Prefix", prefix === "" ? undefined : prefix),
  );
}

/** A dataset that may be seen and not read has a time that nobody is told, and so has one whose record is damaged. */
async function createdAt(tree: Tree, caller: Caller, name: DatasetName): Promise<string> {
  try {
    const created = (await tree.created(caller, name)) ?? "";
    const ms = Date.parse(created);
    return Number.isNaN(ms) ? UNKNOWN_TIME : new Date(ms).toISOString();
  } catch (error) {
    const code = codeOf(error);
    if (code === "ACCESS_DENIED" || code === "OBJECT_INVALID" || code === "FORMAT_UNSUPPORTED") {
      return UNKNOWN_TIME;
    }
    throw error;
  }
}
