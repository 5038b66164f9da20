/** The settings of `aetherfs mount` and `aetherfs umount`. */
import { flag, list, optional, same, single } from "./setting.ts";
import { parseDuration } from "./values.ts";

const commands = ["mount"];
const TIMEOUT_SECONDS_DEFAULT = 30;

function parseTimeout(text: string): number {
  const seconds = parseDuration(text);
  if (seconds > 0) return seconds;
  throw new Error("it is no time at all");
}

/** Of a user or group: what chown(2) takes for none is none. */
const OWNER_MAX = 2 ** 32 - 2;

function parseOwner(text: string): number {
  const number = /^\d{1,10}$/.test(text) ? Number(text) : Infinity;
  if (number <= OWNER_MAX) return number;
  throw new Error("it is not a number of a user or group, such as 1000");
}

/** What `aetherfs mount` takes, besides --cache_size and what all commands take. */
export const MOUNT_SETTINGS = {
  follow: flag({
    flag: "follow",
    noVariable: true,
    commands,
    help: "show what the tag points at now, also when it moves",
  }),
  offline: flag({
    flag: "offline",
    noVariable: true,
    commands,
    help: "show what --cache_dir has of a version that was mounted before, and ask nobody",
  }),
  foreground: flag({
    flag: "foreground",
    commands,
    help: "serve until it is unmounted, instead of in the background",
  }),
  allowOther: flag({
    flag: "allow_other",
    commands,
    help: "let other users in, as far as modes let them; root always does",
  }),
  uid: optional(
    {
      flag: "uid",
      noVariable: true,
      placeholder: "NUMBER",
      commands,
      fallback: "that of who mounts",
      help: "the user whom everything belongs to, as modes are about",
    },
    parseOwner,
  ),
  gid: optional(
    {
      flag: "gid",
      noVariable: true,
      placeholder: "NUMBER",
      commands,
      fallback: "that of who mounts",
      help: "the group that everything belongs to",
    },
    parseOwner,
  ),
  noexec: flag({
    flag: "noexec",
    noVariable: true,
    commands,
    help: "let no program of the mount be run",
  }),
  timeout: single(
    {
      flag: "timeout",
      noVariable: true,
      placeholder: "DURATION",
      commands,
      fallback: "30s",
      help: "how long a program waits for bytes that do not come, before it gets an I/O error",
    },
    parseTimeout,
    () => TIMEOUT_SECONDS_DEFAULT,
  ),
  logFile: optional(
    {
      flag: "log_file",
      placeholder: "FILE",
      commands,
      fallback: "mount.log in --cache_dir",
      help: "where a mount in the background says what goes wrong",
    },
    same,
  ),
  mountOptions: list(
    {
      flag: "options",
      noVariable: true,
      short: "o",
      placeholder: "OPTION,…",
      commands,
      help: "options as mount(8) has them: those of this command (follow, cache_size=10GiB), and those that it does itself",
    },
    same,
  ),
  lazy: flag({
    flag: "lazy",
    noVariable: true,
    commands: ["umount"],
    help: "unmount also what is in use: who uses it may finish",
  }),
} as const;
