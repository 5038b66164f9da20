/** REST of a whole hub: its description holds, and the example of each operation does what it says. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import swagger from "@apidevtools/swagger-parser";
import { openHub, type TestHub } from "./test-hub.ts";
import { formatDigest } from "../../src/format/digest.ts";
import { connect } from "../../src/sdk/index.ts";
import { EXAMPLE_BLOCK, EXAMPLE_DIGEST, EXAMPLE_NAME } from "../../src/serve/rest/examples.ts";

interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly example?: string;
}

interface Operation {
  readonly operationId: string;
  readonly description: string;
  readonly parameters: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly example?: unknown }>> };
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, unknown>> }>>;
}

interface Description {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

let hub: TestHub;
let folder: string;
let digest: string;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "aetherfs-rest-"));
  hub = await openHub();
  const client = connect(hub.host, { cacheDir: join(folder, "cache") });
  try {
    const source = join(folder, "source.txt");
    for (const [index, tags] of [["latest", "2026-11-22"], ["latest"]].entries()) {
      writeFileSync(source, `content ${index}\n`);
      const names = tags.map((tag) => `${EXAMPLE_NAME}:${tag}`);
      digest = formatDigest((await hub.push(client, source, names)).digest);
    }
  } finally {
    await client.close();
  }
});
after(async () => {
  await hub.close();
  rmSync(folder, { recursive: true, force: true });
});

async function describeApi(): Promise<Description> {
  return (await (await fetch(`${hub.url}/api/openapi.json`)).json()) as Description;
}

/** Asks with the operation's examples, as a reader of the description would. */
function requestOf(verb: string, path: string, operation: Operation): Request {
  const given = (text: string): string => text.replaceAll(EXAMPLE_DIGEST, digest);
  const values = operation.parameters.filter((parameter) => parameter.example !== undefined);
  let target = path;
  const query = new URLSearchParams();
  const headers = new Headers();
  for (const { name, in: where, example = "" } of values) {
    if (where === "path") target = target.replace(`{${name}}`, given(example));
    else if (where === "query") query.set(name, given(example));
    else headers.set(name, example);
  }
  assert.doesNotMatch(target, /[{}]/, "each variable of the path has an example");
  const [type, content] = Object.entries(operation.requestBody?.content ?? {})[0] ?? [];
  if (type !== undefined) headers.set("content-type", type);
  const body =
    type === "application/octet-stream" ? EXAMPLE_BLOCK : content && JSON.stringify(content.example);
  const text = query.size === 0 ? "" : `?${query.toString()}`;
  return new Request(`${hub.url}${target}${text}`, {
    method: verb.toUpperCase(),
    headers,
    ...(body === undefined ? {} : { body: given(body) }),
  });
}

describe("REST of a hub", () => {
  it("has a description that a validator of OpenAPI 3.1 accepts", async () => {
    const description = await describeApi();
    assert.equal(description.openapi, "3.1.0");
    await swagger.validate(structuredClone(description) as never);
  });

  it("has a comment and an example for each operation, which succeeds with what is described", async () => {
    const { paths } = await describeApi();
    const operations = Object.entries(paths).flatMap(([path, verbs]) =>
      Object.entries(verbs).map(([verb, operation]) => ({ path, verb, operation })),
    );
    assert.ok(operations.length >= 18, `${operations.length} operations`);
    // What an example needs comes before it: a block is uploaded before it is looked up, a tag read before it is removed.
    const ranks: Readonly<Record<string, number>> = {
      BlockAPI_Upload: 0,
      CatalogAPI_DeleteDataset: 3,
      CatalogAPI_UndeleteDataset: 4,
    };
    const rank = ({ verb, operation }: (typeof operations)[number]): number =>
      ranks[operation.operationId] ?? (verb === "delete" ? 2 : 1);
    for (const { path, verb, operation } of operations.sort((a, b) => rank(a) - rank(b))) {
      const { operationId, description, responses } = operation;
      assert.ok(description.length > 10, operationId);
      const response = await fetch(requestOf(verb, path, operation));
      const text = await response.text();
      assert.equal(response.status, 200, `${operationId}: ${text}`);
      const type = response.headers.get("content-type") ?? "";
      const described = Object.keys(responses["200"]?.content ?? {});
      assert.ok(verb === "head" || described.includes(type), `${operationId}: ${type}`);
      if (type === "application/json" && verb !== "head") JSON.parse(text);
    }
  });

  it("takes the name after a scope for a dataset's, also where a path of a dataset goes on with the same word", async () => {
    for (const path of ["@acme/tags", "@acme%2Ftags", "@acme/events"]) {
      const response = await fetch(`${hub.url}/api/v1/catalog/${path}`);
      const { code, detail } = (await response.json()) as Record<string, string>;
      assert.deepEqual([response.status, code], [404, "DATASET_NOT_FOUND"], path);
      assert.match(detail ?? "", /there is no dataset @acme\//);
    }
  });

  it("gives lists in pages, which together are the whole", async () => {
    const names: string[] = [];
    let token = "";
    do {
      const query = new URLSearchParams({ pageSize: "1", pageToken: token });
      const response = await fetch(`${hub.url}/api/v1/catalog/${EXAMPLE_NAME}/tags?${query.toString()}`);
      const page = (await response.json()) as { tags: { tag: string }[]; nextPageToken: string };
      assert.ok(page.tags.length <= 1);
      names.push(...page.tags.map(({ tag }) => tag));
      token = page.nextPageToken;
    } while (token !== "");
    assert.ok(names.includes("latest"));
    assert.deepEqual(names, [...names].sort());
    const bad = await fetch(`${hub.url}/api/v1/catalog?pageToken=%00zz`);
    assert.equal(bad.status, 400);
    await bad.body?.cancel();
  });
});
