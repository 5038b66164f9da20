/** The awkward dataset through interfaces of files over HTTP. */
import { describe } from "node:test";
import { awkwardHub } from "./awkward-hub.ts";
import { httpDoor, rcloneHttpDoor, s3Door } from "./doors.ts";
import { interfaceSuite } from "./interface-suite.ts";

const { expected, at } = awkwardHub();

describe("interfaces of files over HTTP", () => {
  interfaceSuite("/fs, met by curl,", { directories: "all", symlinks: "links" }, expected, at(httpDoor));
  const followed = { directories: "all", symlinks: "followed" } as const;
  interfaceSuite("/fs, met by rclone,", followed, expected, at(rcloneHttpDoor));
  interfaceSuite("/s3, met by boto3,", { directories: "all", symlinks: "files" }, expected, at(s3Door));
});
