/** One awkward dataset, seen through every interface: design of the suite in interface-suite.ts. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe } from "node:test";
import { MiB } from "../../src/base/limits.ts";
import { tagOf } from "../../src/dataset/tag-changes.ts";
import { parseReference } from "../../src/format/reference.ts";
import { connect } from "../../src/sdk/index.ts";
import { openHub, type TestHub } from "../hub/test-hub.ts";
import { writeAwkward, type Item } from "./awkward.ts";
import {
  cliDoor,
  httpDoor,
  nfsDoor,
  mountDoor,
  pythonDoor,
  rcloneHttpDoor,
  s3Door,
  scratchIn,
  sdkDoor,
  type Place,
} from "./doors.ts";
import { interfaceSuite, type OpenDoor } from "./interface-suite.ts";
import { LEFT_OUT_BY_RCLONE, npmWebdavDoor, rcloneWebdavDoor } from "./webdav-doors.ts";

const REFERENCE = "awkward:v1";

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

/** A door whose place is known when it is opened. */
function at(make: (place: Place) => OpenDoor): OpenDoor {
  return (t) => {
    const { host, url, nfsPort } = hub;
    return make({ host, url, nfsPort, reference: REFERENCE, scratch: scratchIn(folder) })(t);
  };
}

const LINKS = { directories: "all", symlinks: "links" } as const;
const expected = (): ReadonlyMap<string, Item> => items;

describe("every interface", () => {
  interfaceSuite("aetherfs pull", LINKS, expected, at(cliDoor));
  interfaceSuite("aetherfs mount, met by cp,", LINKS, expected, at(mountDoor));
  interfaceSuite("the SDK", LINKS, expected, at(sdkDoor));
  interfaceSuite(
    "gRPC, met by grpcio,",
    LINKS,
    expected,
    at((place) => pythonDoor(place, "grpc")),
  );
  interfaceSuite(
    "REST, met by urllib,",
    LINKS,
    expected,
    at((place) => pythonDoor(place, "rest")),
  );
  interfaceSuite("/fs, met by curl,", LINKS, expected, at(httpDoor));
  const followed = { directories: "all", symlinks: "followed" } as const;
  interfaceSuite("/fs, met by rclone,", followed, expected, at(rcloneHttpDoor));
  const cannot = (path: string): boolean => LEFT_OUT_BY_RCLONE.test(path);
  interfaceSuite("/webdav, met by rclone,", { ...followed, cannot }, expected, at(rcloneWebdavDoor));
  interfaceSuite("/webdav, met by the npm client,", followed, expected, at(npmWebdavDoor));
  interfaceSuite("NFS, met by libnfs,", LINKS, expected, at(nfsDoor));
  interfaceSuite("/s3, met by boto3,", { directories: "all", symlinks: "files" }, expected, at(s3Door));
});
