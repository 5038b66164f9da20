/** A hub that has the awkward dataset, and how each door finds it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import { MiB } from "../../src/base/limits.ts";
import { tagOf } from "../../src/dataset/tag-changes.ts";
import { parseReference } from "../../src/format/reference.ts";
import { connect } from "../../src/sdk/index.ts";
import { openHub, type TestHub } from "../hub/test-hub.ts";
import { writeAwkward, type Item } from "./awkward.ts";
import { scratchIn, type Place } from "./doors.ts";
import type { OpenDoor } from "./interface-suite.ts";

const REFERENCE = "awkward:v1";

/** What it has, and doors to it. */
export interface AwkwardHub {
  /** Once tests run. */
  readonly expected: () => ReadonlyMap<string, Item>;
  /** A door whose place is known when it is opened. */
  readonly at: (make: (place: Place) => OpenDoor) => OpenDoor;
}

/** One for all tests of a file: opened before the first, closed after the last. */
export function awkwardHub(): AwkwardHub {
  let folder: string;
  let hub: TestHub;
  let items: ReadonlyMap<string, Item>;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "aetherfs-interfaces-"));
    const scratch = scratchIn(folder);
    const source = scratch("source");
    items = writeAwkward(source);
    hub = await openHub();
    const client = connect(hub.host, { cacheDir: scratch("push-cache") });
    try {
      const tags = [tagOf(parseReference(REFERENCE))];
      await client.push({ source, tags, publisher: "test", blockBytes: MiB });
    } finally {
      await client.close();
    }
  });
  after(async () => {
    await hub.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    expected: () => items,
    at: (make) => (t) => {
      const { host, url, nfsPort } = hub;
      return make({ host, url, nfsPort, reference: REFERENCE, scratch: scratchIn(folder) })(t);
    },
  };
}
