/** Copying versions between stores and hubs, and mirrors. */
import { AetherError, codeOf, type ErrorCode } from "../../base/errors.ts";
import { formatDigest, type Digest } from "../../format/digest.ts";
import type { HistoryRecord } from "../../format/record.ts";
import type { DatasetName, Reference, Tag } from "../../format/reference.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { TagReference } from "../contract.ts";
import { isDamage } from "../damage.ts";
import type { TagPointer } from "../datasets.ts";
import { tagOf } from "../tag-changes.ts";
import type { CopyChange, CopyEnd, CopyFailure, CopyOptions, CopyResult, CopySelection } from "./contract.ts";
import { labelsAt, missingEntries, stepsOf, type CopyStep, type TagEntries } from "./copy-steps.ts";
import { copyVersion } from "./copy-version.ts";

const PROGRESS_INTERVAL_MS = 50;

/** What keeps one tag from being copied and not the others. */
const OF_ONE_TAG: ReadonlySet<ErrorCode> = new Set([
  "TAG_CONFLICT",
  "TAG_IMMUTABLE",
  "VERSION_NOT_FOUND",
  "DATASET_NOT_FOUND",
  "FORMAT_UNSUPPORTED",
  "MANIFEST_UNSAFE",
  "LIMIT_EXCEEDED",
]);

/** What a source says of a version that it has no longer. */
const OF_NO_VERSION: ReadonlySet<ErrorCode> = new Set(["VERSION_NOT_FOUND", "OBJECT_MISSING"]);

/**
 * Copies versions from one place to the other: the same digests, the same entries of the tags' histories, and of the content what
 * the target lacks. Tags move when all of a version is durable there. Begun again after an interruption it copies the rest, and a
 * second time nothing. Of datasets, what keeps one tag from being copied is told in the result, and the others go on; of one reference it
 * is thrown.
 * Errors: DATASET_NOT_FOUND when nothing is selected; TAG_NOT_FOUND, VERSION_NOT_FOUND; TAG_CONFLICT when the target's tag was
 * moved by somebody else; those of copyVersion.
 */
export async function copy(from: CopyEnd, to: CopyEnd, options: CopyOptions): Promise<CopyResult> {
  const run = new CopyRun(from, to, options);
  const { selection } = options;
  if ("reference" in selection) await run.copyReference(selection.reference, selection.tags);
  else if ("dataset" in selection) await run.copyDataset(selection.dataset);
  else await run.copyDatasets(selection);
  return run.result();
}

class CopyRun {
  readonly #from: CopyEnd;
  readonly #to: CopyEnd;
  readonly #options: CopyOptions;
  readonly #call: CallOptions;
  readonly #clock = { begunMs: 0, reportedMs: -Infinity };
  readonly #counts = { datasets: 0, tags: 0, unchangedTags: 0, lackingEntries: 0, versions: 0, bytes: 0 };
  readonly #traffic = { fetchedBytes: 0, sentBytes: 0, storedBytes: 0 };
  readonly #progress = { files: 0, bytes: 0, newBytes: 0, totalBytes: 0 };
  readonly #changes = new Map<string, CopyChange>();
  readonly #failures: CopyFailure[] = [];
  readonly #elapsedMs: () => number;

  constructor(from: CopyEnd, to: CopyEnd, options: CopyOptions) {
    this.#from = from;
    this.#to = to;
    this.#options = options;
    this.#call = options.signal === undefined ? {} : { signal: options.signal };
    const { clock } = from.copyEngine("" as DatasetName);
    this.#elapsedMs = () => clock.elapsedMs();
    this.#clock.begunMs = clock.elapsedMs();
  }

  /** What was done. */
  result(): CopyResult {
    const seconds = (this.#elapsedMs() - this.#clock.begunMs) / 1000;
    const changes = [...this.#changes.values()];
    return { ...this.#counts, ...this.#traffic, changes, failures: this.#failures, seconds };
  }

  /** As copy(), for one version: `wanted` are the tags to set, none: its own. */
  async copyReference(reference: Reference, wanted: readonly TagReference[]): Promise<void> {
    const { name, digest } = reference;
    this.#counts.datasets++;
    if (digest !== undefined) {
      await this.#copyDigest(name, digest, wanted);
      return;
    }
    const { tag, record } = await this.#from.resolve(reference, this.#call);
    if (tag === undefined || record === undefined) throw new AetherError("INTERNAL", "a tag has an entry");
    const targets = wanted.length === 0 ? [tagOf(reference)] : wanted;
    const tags: TagEntries[] = [];
    for (const target of targets) {
      const current = await this.#currentOf(target);
      tags.push({ target, current, entries: await this.#entries(name, { tag, record }, current) });
    }
    await this.#copyTags(name, tags, (error) => {
      throw error;
    });
  }

  /** As copy(), for every dataset that matches. */
  async copyDatasets({ matches, text }: Extract<CopySelection, { matches: unknown }>): Promise<void> {
    const names = new Set<DatasetName>();
    for await (const name of this.#from.listDatasets(this.#call)) {
      if (!matches(name)) continue;
      names.add(name);
      await this.copyDataset(name);
    }
    // An address that was mistyped shall not empty a mirror.
    if (names.size === 0)
      throw new AetherError("DATASET_NOT_FOUND", `the source has no dataset that is ${text}`, {
        data: { dataset: text },
      });
    if (this.#options.delete !== true) return;
    for await (const name of this.#to.listDatasets(this.#call)) {
      if (!matches(name) || names.has(name)) continue;
      for (const { tag } of (await this.#tagsAt(this.#to, name)).values()) await this.#remove({ name, tag });
    }
  }

  /** As copy(), for one dataset. */
  async copyDataset(name: DatasetName): Promise<void> {
    this.#counts.datasets++;
    const here = await this.#tagsAt(this.#from, name);
    const there = await this.#tagsAt(this.#to, name).catch((error: unknown) => {
      if (codeOf(error) === "DATASET_NOT_FOUND") return new Map<Tag, TagPointer>();
      throw error;
    });
    const tags: TagEntries[] = [];
    for (const [tag, pointer] of here) {
      const current = there.get(tag)?.record;
      const target = { name, tag };
      try {
        tags.push({ target, current, entries: await this.#entries(name, pointer, current) });
      } catch (error) {
        this.#fail([target], error);
      }
    }
    await this.#copyTags(name, tags, (error, { targets }) => {
      this.#fail(targets, error);
    });
    if (this.#options.delete !== true) return;
    for (const tag of there.keys()) if (!here.has(tag)) await this.#remove({ name, tag });
  }

  /** The tags that point at a version. */
  async #tagsAt(end: CopyEnd, name: DatasetName): Promise<ReadonlyMap<Tag, TagPointer>> {
    const tags = new Map<Tag, TagPointer>();
    for await (const pointer of end.listTags(name, this.#call)) tags.set(pointer.tag, pointer);
    return tags;
  }

  async #currentOf({ name, tag }: TagReference): Promise<HistoryRecord | undefined> {
    try {
      return (await this.#to.resolve({ host: undefined, name, tag, digest: undefined }, this.#call)).record;
    } catch (error) {
      const code = codeOf(error);
      if (code === "DATASET_NOT_FOUND" || code === "TAG_NOT_FOUND") return undefined;
      throw error;
    }
  }

  #entries(
    name: DatasetName,
    pointer: TagPointer,
    current: HistoryRecord | undefined,
  ): Promise<readonly HistoryRecord[]> {
    this.#counts.tags++;
    if (current?.digest === pointer.record.digest) this.#counts.unchangedTags++;
    const { historyMax, force = false, repair = false } = this.#options;
    return missingEntries(this.#from, name, pointer, current, { historyMax, force, repair, ...this.#call });
  }

  /**
   * Copies in order; a tag of which one entry could not be copied gets no later one. Earlier entries whose versions the source has
   * no longer, since nothing kept them, are left out.
   */
  async #copyTags(
    name: DatasetName,
    tags: readonly TagEntries[],
    onError: (error: unknown, step: CopyStep) => void,
  ): Promise<void> {
    const { force = false } = this.#options;
    const expected = new Map<string, Digest | null | undefined>(
      tags.map(({ target, current }) => [keyOf(target), force ? undefined : (current?.digest ?? null)]),
    );
    const newest = new Map(tags.map(({ target, entries }) => [keyOf(target), entries.at(-1)?.digest]));
    const steps = stepsOf(tags);
    for (const { record } of steps) this.#progress.totalBytes += record.bytes;
    const given = new Set<string>();
    for (const step of steps) {
      const targets = step.targets.filter((target) => !given.has(keyOf(target)));
      if (targets.length === 0) continue;
      try {
        const goals = targets.map((target) => ({ ...target, expected: expected.get(keyOf(target)) }));
        await this.#copyStep(name, step.record, goals);
        for (const target of targets) expected.set(keyOf(target), step.record.digest);
      } catch (error) {
        const isLacking = OF_NO_VERSION.has(codeOf(error));
        const failed = targets.filter(
          (target) => !isLacking || newest.get(keyOf(target)) === step.record.digest,
        );
        this.#counts.lackingEntries += targets.length - failed.length;
        for (const target of failed) given.add(keyOf(target));
        if (failed.length > 0) onError(error, { ...step, targets: failed });
      }
    }
  }

  async #copyDigest(name: DatasetName, version: Digest, tags: readonly TagReference[]): Promise<void> {
    if (tags.length === 0)
      throw new AetherError(
        "ARGUMENT_INVALID",
        `${formatDigest(version)} needs a tag at the target: -t ${name}:TAG`,
      );
    const { publisher } = this.#options;
    const record = {
      digest: version,
      publisher,
      message: "",
      labels: {},
      time: formatDigest(version),
      files: 0,
    };
    await this.#copyStep(name, record, tags);
  }

  async #copyStep(
    name: DatasetName,
    record: Pick<HistoryRecord, "digest" | "publisher" | "message" | "labels" | "time" | "files">,
    tags: readonly (TagReference & { readonly expected?: Digest | null | undefined })[],
  ): Promise<void> {
    const { origin, dryRun, repair } = this.#options;
    const { digest: version, publisher, message } = record;
    const [first] = tags;
    if (first === undefined) return;
    const labels = labelsAt(origin, name, record);
    const before = { ...this.#progress };
    const onProgress = (bytes: number, newBytes: number): void => {
      Object.assign(this.#progress, { bytes: before.bytes + bytes, newBytes: before.newBytes + newBytes });
      this.#report();
    };
    const target = this.#to.copyEngine(first.name);
    const wanted = {
      version,
      place: tags,
      tags,
      publisher,
      message,
      labels,
      dryRun,
      isThorough: repair,
      onProgress,
    };
    const { published, bytes, fetchedBytes } = await copyVersion(
      this.#from.copyEngine(name),
      target,
      wanted,
      this.#call,
    );
    this.#progress.files += record.files;
    this.#counts.versions++;
    this.#counts.bytes += bytes;
    this.#traffic.fetchedBytes += fetchedBytes;
    this.#traffic.sentBytes += published.totals.sentBytes;
    this.#traffic.storedBytes += published.totals.storedBytes;
    for (const [index, tag] of tags.entries())
      if (dryRun === true || published.moved[index] === true) this.#note(tag, version);
  }

  /** Notes that a tag got one more entry. */
  #note(target: TagReference, digest: Digest | null): void {
    const { name: dataset, tag } = target;
    const entries = (this.#changes.get(keyOf(target))?.entries ?? 0) + 1;
    this.#changes.set(keyOf(target), { dataset, tag, digest, entries });
  }

  async #remove(target: TagReference): Promise<void> {
    const { publisher, dryRun } = this.#options;
    const says = { publisher, message: "the source of the copy has not this tag", labels: {} };
    try {
      if (dryRun !== true) await this.#to.removeTag(target, says, this.#call);
      this.#note(target, null);
    } catch (error) {
      if (codeOf(error) !== "TAG_NOT_FOUND") this.#fail([target], error);
    }
  }

  /** Notes what keeps these tags from being copied; what would keep all others too is thrown. */
  #fail(targets: readonly TagReference[], error: unknown): void {
    const code = codeOf(error);
    this.#options.signal?.throwIfAborted();
    if (!(error instanceof AetherError) || !(OF_ONE_TAG.has(code) || isDamage(error))) throw error;
    for (const { name: dataset, tag } of targets)
      this.#failures.push({ dataset, tag, code, message: error.message });
  }

  #report(): void {
    const { onProgress } = this.#options;
    const nowMs = this.#elapsedMs();
    if (onProgress === undefined || nowMs - this.#clock.reportedMs < PROGRESS_INTERVAL_MS) return;
    this.#clock.reportedMs = nowMs;
    const { files, bytes, newBytes, totalBytes } = this.#progress;
    onProgress({
      phase: "fetch",
      files,
      bytes,
      totalBytes: Math.max(bytes, totalBytes),
      reusedBytes: bytes - newBytes,
    });
  }
}

function keyOf({ name, tag }: TagReference): string {
  return `${name}:${tag}`;
}
