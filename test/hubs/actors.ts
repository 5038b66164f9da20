/** Who works with the hubs of a run, and writes down what they did. */
import { join } from "node:path";
import { codeOf } from "../../src/base/errors.ts";
import { collect } from "../../src/dataset/testing/engine.ts";
import type { Digest } from "../../src/format/digest.ts";
import { formatDigest } from "../../src/format/digest.ts";
import { parseTag, type DatasetName, type Tag } from "../../src/format/reference.ts";
import type { EventRecord } from "../../src/format/record.ts";
import type { Client } from "../../src/sdk/client.ts";
import { pick, type Fractions } from "../crash/seeded.ts";
import { ID_FILE, idOfContent, idOfFolder, NOISE_FILE, writeContent } from "./content.ts";
import type { Change, Look, Reading, Watching } from "./recording.ts";

/** The tags of a run: publishes move the first, and the second follows it now and then. */
export const TAGS = ["latest", "stable"].map(parseTag) as [Tag, Tag];

/** What actors of a run share. */
export interface Stage {
  readonly name: DatasetName;
  /** For sources and targets. */
  readonly folder: string;
  readonly changes: Change[];
  readonly looks: Look[];
  readonly readings: Reading[];
}

/** A client to work with now; another one, perhaps, at the next call. */
export type GetClient = () => Promise<Client>;

/** What a change is, but for how it ended. */
type Asked = Pick<Change, "actor" | "kind" | "id" | "tag">;

const SAYS = { publisher: "run", labels: {} };

/** Publishes `count` times, and moves tags otherwise in between. `onChange` is called after each change. */
export async function publish(
  stage: Stage,
  actor: string,
  getClient: GetClient,
  options: { readonly count: number; readonly fractions: Fractions; readonly onChange: () => void },
): Promise<void> {
  const { count, fractions, onChange } = options;
  const [latest, stable] = TAGS;
  const { name } = stage;
  const source = join(stage.folder, `source-${actor}`);
  for (let index = 0; index < count; index++) {
    const id = `${actor}-${index}`;
    const client = await getClient();
    writeContent(source, id);
    await change(stage, { actor, kind: "publish", id, tag: latest }, async () => {
      const { digest } = await client.push({ source, tags: [{ name, tag: latest }], ...SAYS, message: id });
      return digest;
    });
    onChange();
    const other = pick(fractions, 6);
    if (other === 0) await rollBack(stage, actor, `${id}-back`, await getClient());
    if (other === 1) await point(stage, actor, `${id}-point`, await getClient(), stable);
    if (other < 2) onChange();
  }
}

async function rollBack(stage: Stage, actor: string, id: string, client: Client): Promise<void> {
  const [latest] = TAGS;
  await change(stage, { actor, kind: "rollback", id, tag: latest }, async () => {
    const says = { ...SAYS, message: id };
    const { moved, record } = await client.rollback({ name: stage.name, tag: latest }, {}, says);
    // Of two at once that go back to the same version, one finds the tag where it wants it.
    return moved ? record.digest : undefined;
  });
}

async function point(stage: Stage, actor: string, id: string, client: Client, tag: Tag): Promise<void> {
  const source = { host: undefined, name: stage.name, tag: TAGS[0], digest: undefined };
  await change(stage, { actor, kind: "point", id, tag }, async () => {
    const says = { ...SAYS, message: id };
    const { moved, record } = await client.tag({ name: stage.name, tag }, source, says);
    // A tag that is there already gets no entry.
    return moved ? record.digest : undefined;
  });
}

async function change(stage: Stage, asked: Asked, work: () => Promise<Digest | undefined>): Promise<void> {
  const beginMs = performance.now();
  try {
    const digest = await work();
    const endMs = performance.now();
    if (digest !== undefined) stage.changes.push({ ...asked, beginMs, endMs, outcome: "ok", digest });
  } catch (error) {
    const code = codeOf(error);
    const outcome = code === "TAG_CONFLICT" ? "failed" : "unknown";
    stage.changes.push({ ...asked, beginMs, endMs: performance.now(), outcome, code });
  }
}

/** Looks at tags and reads what they point at, in three ways, until `isOver`. `getUrl`: of a hub, or undefined while none is there. */
export async function read(
  stage: Stage,
  actor: string,
  getClient: GetClient,
  options: {
    readonly fractions: Fractions;
    readonly isOver: () => boolean;
    readonly getUrl: () => string | undefined;
  },
): Promise<void> {
  const target = join(stage.folder, `target-${actor}`);
  while (!options.isOver()) {
    const client = await getClient();
    const digest = await look(stage, actor, client, TAGS[pick(options.fractions, 8) === 0 ? 1 : 0]);
    if (digest !== undefined) {
      const way = pick(options.fractions, 4);
      await reading(stage, actor, digest, async () => {
        if (way === 0) return await pulled(client, stage.name, digest, target);
        if (way === 1) return await catFiles(client, stage.name, digest);
        return await fetched(options.getUrl(), stage.name, digest);
      });
    }
    await pause(10);
  }
}

async function look(stage: Stage, actor: string, client: Client, tag: Tag): Promise<Digest | undefined> {
  const beginMs = performance.now();
  try {
    const { version, record } = await client.resolve({
      host: undefined,
      name: stage.name,
      tag,
      digest: undefined,
    });
    const endMs = performance.now();
    const seen = { number: record?.number ?? 0, digest: version };
    stage.looks.push({ actor, tag, beginMs, endMs, outcome: "ok", ...seen });
    return version;
  } catch (error) {
    const code = codeOf(error);
    stage.looks.push({ actor, tag, beginMs, endMs: performance.now(), outcome: "failed", code });
    return undefined;
  }
}

async function reading(
  stage: Stage,
  actor: string,
  digest: Digest,
  work: () => Promise<string | undefined>,
): Promise<void> {
  const beginMs = performance.now();
  try {
    const content = await work();
    const call = { actor, digest, beginMs, endMs: performance.now(), outcome: "ok" } as const;
    stage.readings.push(content === undefined ? call : { ...call, content });
  } catch (error) {
    const code = error instanceof FetchFailed ? error.code : codeOf(error);
    stage.readings.push({ actor, digest, beginMs, endMs: performance.now(), outcome: "failed", code });
  }
}

async function pulled(
  client: Client,
  name: DatasetName,
  version: Digest,
  target: string,
): Promise<string | undefined> {
  await client.pull({ name, version, target, delete: true });
  return idOfFolder(target);
}

async function catFiles(client: Client, name: DatasetName, digest: Digest): Promise<string | undefined> {
  const version = await client.openVersion(name, digest);
  const id = await collect(client.cat(version, ID_FILE));
  return idOfContent(id, await collect(client.cat(version, NOISE_FILE)));
}

/** What a plain HTTP client was answered in place of a file. */
class FetchFailed extends Error {
  readonly code: string;

  constructor(code: string, cause?: unknown) {
    super(code, { cause });
    this.code = code;
  }
}

async function fetched(
  url: string | undefined,
  name: DatasetName,
  digest: Digest,
): Promise<string | undefined> {
  if (url === undefined) throw new FetchFailed("HUB_UNAVAILABLE");
  const place = `${url}/fs/${name}/${encodeURIComponent(formatDigest(digest))}`;
  return idOfContent(await fetchFile(`${place}/${ID_FILE}`), await fetchFile(`${place}/${NOISE_FILE}`));
}

/** The whole file. A connection that breaks, or was never made, is the killed hub's. */
async function fetchFile(url: string): Promise<Uint8Array> {
  let response: Response;
  let bytes: Uint8Array;
  try {
    response = await fetch(url);
    bytes = new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    throw new FetchFailed("HUB_UNAVAILABLE", error);
  }
  if (response.status === 200) return bytes;
  const problem: unknown = JSON.parse(Buffer.from(bytes).toString());
  const hasCode = typeof problem === "object" && problem !== null && "code" in problem;
  throw new FetchFailed(hasCode ? String(problem.code) : `status ${response.status}`);
}

/** A watcher that asks again, from the event after the last one, whenever a hub fails it. */
export class Watcher {
  readonly #actor: string;
  readonly #events: EventRecord[] = [];
  readonly #codes: string[] = [];
  readonly #ended = new AbortController();
  readonly #running: Promise<void>;

  constructor(stage: Stage, actor: string, getClient: GetClient) {
    this.#actor = actor;
    this.#running = this.#run(stage.name, getClient);
  }

  /** The sequence of the event that it was told last. */
  get last(): number {
    return this.#events.at(-1)?.sequence ?? 0;
  }

  async end(): Promise<Watching> {
    this.#ended.abort();
    await this.#running;
    return { actor: this.#actor, first: 1, events: this.#events, codes: this.#codes };
  }

  async #run(name: DatasetName, getClient: GetClient): Promise<void> {
    const { signal } = this.#ended;
    const isOver = (): boolean => signal.aborted;
    while (!isOver()) {
      try {
        const client = await getClient();
        for await (const event of client.watch(name, { sequence: this.last + 1, signal }))
          this.#events.push(event);
      } catch (error) {
        if (!isOver()) this.#codes.push(codeOf(error));
      }
      await pause(20);
    }
  }
}

/** Lets others go on. */
export function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}
