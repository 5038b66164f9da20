/** `/webdav` of a hub, met by clients that are not ours. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { createClient } from "webdav";
import { MiB } from "../../src/base/limits.ts";
import { requirePeer } from "../peers.ts";
import type { Item } from "./awkward.ts";
import { byFolder, type Place } from "./doors.ts";
import type { OpenDoor } from "./interface-suite.ts";
import { readEach } from "./read-each.ts";

const run = promisify(execFile);
/** Files that are read at once. */
const AT_ONCE = 8;
/** Of the many files of one folder, rclone leaves these out: it makes a hundred requests a second, and no more. */
export const LEFT_OUT_BY_RCLONE = /^many\/.*[^7]$/;
const FILTERS = ["+ /many/*7", "- /many/*"];

function urlOf({ url, reference }: Place): string {
  return `${url}/webdav/${reference.replace(":", "/")}`;
}

/** rclone copies all of it. */
export function rcloneWebdavDoor(place: Place): OpenDoor {
  const { scratch } = place;
  return async (t) => {
    const rclone = requirePeer(t, "rclone");
    if (rclone === undefined) return undefined;
    const copy = async (folder: string): Promise<void> => {
      const words = ["--config", "", "--webdav-url", urlOf(place), "--transfers", String(AT_ONCE)];
      words.push("--create-empty-src-dirs", "--no-unicode-normalization");
      words.push(...FILTERS.flatMap((filter) => ["--filter", filter]));
      const env = { PATH: process.env["PATH"], HOME: scratch("rclone-home") };
      await run(rclone, ["copy", ...words, ":webdav:", folder], { env, maxBuffer: 64 * MiB });
    };
    return byFolder(copy, scratch("rclone-webdav"));
  };
}

/** The npm client `webdav`, which lists folder by folder. */
export function npmWebdavDoor(place: Place): OpenDoor {
  return async () => {
    const client = createClient(urlOf(place));
    const list = async (): Promise<Map<string, Item>> => {
      const items = new Map<string, Item>();
      const folders = ["/"];
      for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
        for (const { filename, type, size, etag } of await client.getDirectoryContents(folder)) {
          const path = filename.slice(1);
          if (type === "file") items.set(path, { kind: "file", size, sha256: etag ?? "" });
          else {
            items.set(path, { kind: "directory" });
            folders.push(filename);
          }
        }
      }
      return items;
    };
    const read = (paths: readonly string[]): Promise<Map<string, string>> =>
      readEach(paths, async (path) => {
        const content = (await client.getFileContents(`/${path}`)) as Buffer;
        return createHash("sha256").update(content).digest("hex");
      });
    return { list, read };
  };
}
