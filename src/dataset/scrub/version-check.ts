/** One version: its manifest, every page, and every plan against the blocks that it leads to. docs/format.md §6, §7 */
import { must } from "../../base/assert.ts";
import { AetherError, codeOf } from "../../base/errors.ts";
import { digestFromHex, formatDigest, type Digest } from "../../format/digest.ts";
import type { Page, TreeKind } from "../../format/page.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { DamagedObject } from "../../store/keys.ts";
import type { Engine } from "../engine.ts";
import { inlineChunks, readPlan, wholePlan } from "../version/load-plan.ts";
import { childRef, type PageRef } from "../version/page-source.ts";
import { Traffic } from "../version/traffic.ts";
import { openVersion, topRef, type Version } from "../version/version.ts";
import { isFault } from "./is-fault.ts";
import { itemsOfChunks, type ItemFault, type PlanCheck, type PlannedItem } from "./plan-check.ts";

const KINDS: readonly TreeKind[] = ["entries", "times", "chunks"];
const DIGEST_PREFIX = "sha256:";
/** Times that a plan is looked at which is replaced meanwhile. */
const TRIES_MAX = 3;
/** Pages that are remembered as sound with all below them. */
const SOUND_KEPT_MAX = 1 << 19;
/** Damaged ranges of one version that are told. */
const SPANS_MAX = 10_000;

/** An object that a check found wrong. */
export interface FoundFault {
  readonly object: DamagedObject;
  readonly error: AetherError;
}

/** What of a version cannot be read. */
export interface VersionDamage {
  readonly version: Digest;
  /** What was wrong first. */
  readonly error: AetherError;
  /** Ranges of the stream, in bytes, ascending. */
  readonly spans: readonly { readonly start: number; readonly end: number }[];
  /** Whether entries are lost, so that nobody can tell which paths there are. */
  readonly losesEntries: boolean;
  /** Whether its manifest or its own plan is not there, as after a prune of what nothing kept. */
  readonly isGone: boolean;
  /** Whether all that is wrong is that something is not there. */
  readonly isMissing: boolean;
}

/** A check of one version under way. */
interface Draft {
  readonly version: Version;
  readonly domain: string;
  error: AetherError | undefined;
  readonly spans: { start: number; end: number }[];
  losesEntries: boolean;
  isGone: boolean;
  isMissing: boolean;
}

/** Checks versions one after another: what they share is looked at once, while it is sound. */
export class VersionCheck {
  readonly #engine: Engine;
  readonly #plans: PlanCheck;
  readonly #onFault: (fault: FoundFault) => void;
  readonly #sound = new Set<string>();
  /** Plans that were looked at, and bytes of manifests, pages and plans that were read. */
  planCount = 0;
  readBytes = 0;

  constructor(engine: Engine, plans: PlanCheck, onFault: (fault: FoundFault) => void) {
    this.#engine = engine;
    this.#plans = plans;
    this.#onFault = onFault;
  }

  /** What of the version is lost, for readers of the domain's datasets; undefined: nothing. Errors: those of the store, but for damage. */
  async check(digest: Digest, domain: string, options: CallOptions): Promise<VersionDamage | undefined> {
    const object = { kind: "manifests", digest } as const;
    let version: Version;
    try {
      version = await openVersion(this.#engine, digest, options);
    } catch (error) {
      const isGone = codeOf(error) === "VERSION_NOT_FOUND";
      const found = isGone ? manifestMissing(digest) : faultOf(error);
      this.#onFault({ object: { kind: "manifests", digest: namedIn(found) ?? digest }, error: found });
      const isMissing = found.code === "OBJECT_MISSING";
      return { version: digest, error: found, spans: [], losesEntries: true, isGone, isMissing };
    }
    const draft: Draft = {
      version,
      domain,
      error: undefined,
      spans: [],
      losesEntries: false,
      isGone: false,
      isMissing: true,
    };
    if (version.bundle.pages.length > 0) await this.#inline(draft, object, options);
    else await this.#paged(draft, options);
    this.readBytes += version.traffic.fetchedBytes;
    const { error, spans, losesEntries, isGone, isMissing } = draft;
    return error && { version: digest, error, spans: merged(spans), losesEntries, isGone, isMissing };
  }

  /** A version whose pages lie with its root. */
  async #inline(draft: Draft, object: DamagedObject, options: CallOptions): Promise<void> {
    const { version } = draft;
    try {
      for (const kind of KINDS) await this.#visitInline(version, topRef(version, kind));
    } catch (error) {
      const found = faultOf(error);
      this.#onFault({ object, error: found });
      draft.losesEntries = true;
      lose(draft, found, undefined);
      return;
    }
    const chunks = inlineChunks(version.bundle);
    const starts: number[] = [];
    let start = 0;
    for (const { length } of chunks) {
      starts.push(start);
      start += length;
    }
    for (const { item, error } of await this.#plan(
      draft,
      version.digest,
      "version",
      itemsOfChunks(chunks),
      options,
    )) {
      const from = starts[item] ?? 0;
      lose(draft, error, { start: from, end: from + (chunks[item]?.length ?? start) });
    }
  }

  async #visitInline(version: Version, ref: PageRef | undefined): Promise<void> {
    if (ref === undefined) return;
    const page = must((await version.pages.load([ref]))[0], "a page for each reference");
    for (const child of below(ref, page)) await this.#visitInline(version, child);
  }

  async #paged(draft: Draft, options: CallOptions): Promise<void> {
    const { version } = draft;
    const tops = KINDS.flatMap((kind) => topRef(version, kind) ?? []);
    const items = tops.map(({ digest }) => ({ digest, length: undefined }));
    for (const { item, error } of await this.#plan(draft, version.digest, "items", items, options))
      this.#losePage(draft, must(tops[item] ?? tops[0], "a plan covers an item"), 0, error);
    for (const top of tops) await this.#visit(draft, top, 0, options);
  }

  /** Whether the page and all below it is sound. Levels fall, so the recursion ends. */
  async #visit(draft: Draft, ref: PageRef, start: number, options: CallOptions): Promise<boolean> {
    options.signal?.throwIfAborted();
    const key = `${draft.domain} ${ref.digest}`;
    if (this.#sound.has(key)) return true;
    let page: Page;
    try {
      page = must((await draft.version.pages.load([ref]))[0], "a page for each reference");
    } catch (error) {
      this.#losePage(draft, ref, start, faultOf(error));
      return false;
    }
    const children = below(ref, page);
    const chunks = "chunks" in page ? page.chunks : [];
    const items =
      chunks.length > 0
        ? itemsOfChunks(chunks)
        : children.map(({ digest }) => ({ digest, length: undefined }));
    const faults = items.length === 0 ? [] : await this.#plan(draft, ref.digest, "items", items, options);
    let isSound = faults.length === 0;
    const failed = new Map(faults.map((fault) => [fault.item, fault.error]));
    let at = start;
    for (const [index, child] of children.entries()) {
      const error = failed.get(index);
      if (error !== undefined) this.#losePage(draft, child, at, error);
      else if (!(await this.#visit(draft, child, at, options))) isSound = false;
      at += child.bytes ?? 0;
    }
    for (const [index, { length }] of chunks.entries()) {
      const error = failed.get(index);
      if (error !== undefined) lose(draft, error, { start: at, end: at + length });
      at += length;
    }
    if (isSound) this.#remember(key);
    return isSound;
  }

  #remember(key: string): void {
    if (this.#sound.size === SOUND_KEPT_MAX) this.#sound.clear();
    this.#sound.add(key);
  }

  #losePage(draft: Draft, { kind, bytes = 0 }: PageRef, start: number, error: AetherError): void {
    if (kind !== "chunks") draft.losesEntries = true;
    lose(draft, error, kind === "chunks" ? { start, end: start + bytes } : undefined);
  }

  /** What is wrong with the plan of a page or version: the one that all share, and the domain's own. */
  async #plan(
    draft: Draft,
    key: Digest,
    covers: "items" | "version",
    items: readonly PlannedItem[],
    options: CallOptions,
  ): Promise<readonly ItemFault[]> {
    const shared = await this.#onePlan(draft, key, undefined, covers, items, options);
    const own = await this.#onePlan(draft, key, draft.domain, covers, items, options);
    return [...(shared ?? []), ...(own ?? [])];
  }

  /** A plan may be replaced, and what it led to removed, while it is looked at: then the new one counts. */
  async #onePlan(
    draft: Draft,
    key: Digest,
    domain: string | undefined,
    covers: "items" | "version",
    items: readonly PlannedItem[],
    options: CallOptions,
  ): Promise<readonly ItemFault[] | undefined> {
    const { datasets } = this.#engine.store;
    const object = { kind: "plans", digest: key, domain } as const;
    const read = (): ReturnType<typeof datasets.getPlan> => datasets.getPlan(key, { ...options, domain });
    for (let found = await read(), tries = 1; ; tries++) {
      if (found === undefined && (domain !== undefined || items.length === 0)) return undefined;
      const faults = await this.#checkPlan(key, found?.value, covers, items, options);
      if (faults.length === 0) return faults;
      const again = await read();
      if (again?.revision === found?.revision || tries === TRIES_MAX) {
        if (found === undefined && key === draft.version.digest) draft.isGone = true;
        for (const { faulty, error } of faults) {
          if (faulty === "plan") this.#onFault({ object, error });
          else if (faulty !== "told") this.#onFault({ object: { kind: "blocks", digest: faulty }, error });
        }
        return faults;
      }
      found = again;
    }
  }

  async #checkPlan(
    key: Digest,
    bytes: Uint8Array | undefined,
    covers: "items" | "version",
    items: readonly PlannedItem[],
    options: CallOptions,
  ): Promise<readonly ItemFault[]> {
    const { datasets } = this.#engine.store;
    const all = (error: AetherError): ItemFault[] =>
      Array.from({ length: Math.max(items.length, 1) }, (_, item) => ({ item, error, faulty: "plan" }));
    try {
      if (bytes === undefined)
        return all(new AetherError("OBJECT_MISSING", `the plan of ${formatDigest(key)} is missing`));
      this.planCount++;
      this.readBytes += bytes.byteLength;
      const loading = { ...options, traffic: new Traffic() };
      const plan = await wholePlan(datasets, await readPlan(datasets, bytes, loading), loading);
      if (plan.covers !== covers)
        return all(new AetherError("OBJECT_INVALID", "a plan covers something else"));
      return await this.#plans.check(plan, items, options);
    } catch (error) {
      return all(faultOf(error));
    }
  }
}

function below(ref: PageRef, page: Page): PageRef[] {
  return "children" in page ? page.children.map((child, index) => childRef(ref, child, index)) : [];
}

function manifestMissing(digest: Digest): AetherError {
  const text = formatDigest(digest);
  return new AetherError("OBJECT_MISSING", `the manifest of ${text} is missing`, { data: { digest: text } });
}

function faultOf(error: unknown): AetherError {
  if (isFault(error)) return error;
  throw error;
}

/** The object that an error is about, where it says so: a manifest may lie on another that is damaged. */
function namedIn({ data }: AetherError): Digest | undefined {
  const { digest } = data;
  return typeof digest === "string" ? digestFromHex(digest.slice(DIGEST_PREFIX.length)) : undefined;
}

function lose(draft: Draft, error: AetherError, span: { start: number; end: number } | undefined): void {
  draft.error ??= error;
  draft.isMissing &&= error.code === "OBJECT_MISSING";
  if (span !== undefined && draft.spans.length < SPANS_MAX) draft.spans.push(span);
}

function merged(spans: readonly { start: number; end: number }[]): { start: number; end: number }[] {
  const all: { start: number; end: number }[] = [];
  for (const { start, end } of [...spans].sort((one, other) => one.start - other.start)) {
    const last = all.at(-1);
    if (last !== undefined && start <= last.end) last.end = Math.max(last.end, end);
    else all.push({ start, end });
  }
  return all;
}
