/** The awkward dataset through interfaces that others mount. */
import { describe } from "node:test";
import { awkwardHub } from "./awkward-hub.ts";
import { nfsDoor } from "./doors.ts";
import { interfaceSuite } from "./interface-suite.ts";
import { LEFT_OUT_BY_RCLONE, npmWebdavDoor, rcloneWebdavDoor } from "./webdav-doors.ts";

const { expected, at } = awkwardHub();

describe("interfaces that others mount", () => {
  const followed = { directories: "all", symlinks: "followed" } as const;
  const cannot = (path: string): boolean => LEFT_OUT_BY_RCLONE.test(path);
  interfaceSuite("/webdav, met by rclone,", { ...followed, cannot }, expected, at(rcloneWebdavDoor));
  interfaceSuite("/webdav, met by the npm client,", followed, expected, at(npmWebdavDoor));
  interfaceSuite("NFS, met by libnfs,", { directories: "all", symlinks: "links" }, expected, at(nfsDoor));
});
