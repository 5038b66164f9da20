/** What the commands are called and what they take. Their modules are loaded only when they run. */
import type { Run } from "./context.ts";

/** A command, for help texts and for the program. */
export interface Command {
  readonly name: string;
  /** Arguments: `<one>`, `[optional]`, `<several...>`. */
  readonly takes: string;
  /** How it is called, where that says more than `takes`. */
  readonly usage?: string;
  readonly summary: string;
  /** The words that the argument may be, where there are only these. */
  readonly choices?: readonly string[];
  readonly examples: readonly string[];
  readonly load: () => Promise<{ readonly run: Run }>;
}

/** Every command, in the order of help. */
export const COMMANDS: readonly Command[] = [
  {
    name: "push",
    takes: "<path>",
    usage: "-t REF [-t REF...] [options] PATH",
    summary:
      "publish a folder, a file or an archive (.tar, .tar.gz, .tar.zst, .zip; - for stdin) as a version, and point tags at it",
    examples: [
      "aetherfs push -t maxmind:2026-11-22 -t maxmind:stable ./maxmind",
      "aetherfs push -t hub.example:8080/maxmind:stable --dry-run ./maxmind    # what would it send?",
      "aetherfs --store file:///var/lib/data push -t maxmind:stable ./maxmind  # without a hub",
      "aetherfs push -t @acme/models:latest --exclude '*.tmp' -m 'nightly build' ./models",
      "curl -s https://example.org/data.tar.gz | aetherfs push -t data:latest -",
    ],
    load: () => import("./push.ts"),
  },
  {
    name: "pull",
    takes: "<arguments...>",
    usage: "[options] DIR REF... | --into DIR REF",
    summary: "bring versions to a folder; only what it lacks is fetched",
    examples: [
      "aetherfs pull ./data maxmind:stable        # into ./data/maxmind/stable",
      "aetherfs pull --into ./maxmind --delete maxmind:stable",
      "aetherfs pull --into ./maxmind hub.example:8080/maxmind:stable",
    ],
    load: () => import("./pull.ts"),
  },
  {
    name: "ls",
    takes: "[glob]",
    summary: "list datasets, all or those whose name matches",
    examples: ["aetherfs ls", "aetherfs ls '@acme/*'", "aetherfs ls hub.example:8080/"],
    load: () => import("./ls.ts"),
  },
  {
    name: "tags",
    takes: "<name>",
    summary: "list the tags of a dataset and what they point at",
    examples: ["aetherfs tags maxmind", "aetherfs tags hub.example:8080/@acme/models"],
    load: () => import("./tags.ts"),
  },
  {
    name: "history",
    takes: "<ref>",
    summary: "list the changes of a tag, newest first",
    examples: ["aetherfs history maxmind:stable"],
    load: () => import("./history.ts"),
  },
  {
    name: "show",
    takes: "<ref> [path]",
    summary: "show a version: its totals and entries, or one of its folders",
    examples: ["aetherfs show maxmind:stable", "aetherfs show maxmind:stable models/en"],
    load: () => import("./show.ts"),
  },
  {
    name: "cat",
    takes: "<ref> <path>",
    summary: "write the bytes of a file to stdout",
    examples: [
      "aetherfs cat maxmind:stable README.txt",
      "aetherfs cat --range 0-1023 maxmind:stable city.mmdb",
    ],
    load: () => import("./cat.ts"),
  },
  {
    name: "diff",
    takes: "<from> <to>",
    summary: "compare two versions, and say what the update costs",
    examples: ["aetherfs diff maxmind:2026-11-21 maxmind:2026-11-22"],
    load: () => import("./diff.ts"),
  },
  {
    name: "analyze",
    takes: "<path>",
    usage: "[options] PATH [--against REF] | REF --last N",
    summary:
      "measure how to publish a folder, a file or an archive: what it costs in chunks of several sizes, which files churn, and what is best; stores nothing",
    examples: [
      "aetherfs analyze ./maxmind                           # as a first version; no hub is needed",
      "aetherfs analyze ./maxmind --against maxmind:stable  # and what the update would cost",
      "aetherfs analyze maxmind:stable --last 10            # what the last updates cost, and which files they changed",
      "aetherfs analyze data.tar.zst --output json | jq .recommendation",
    ],
    load: () => import("./analyze.ts"),
  },
  {
    name: "verify",
    takes: "[ref]",
    usage: "[options] REF | --store ADDRESS",
    summary:
      "read a version, or all that a store holds, and check every byte; say what is lost, and heal it from another store",
    examples: [
      "aetherfs verify maxmind:stable",
      "aetherfs verify --store /srv/data                               # every byte of the store",
      "aetherfs verify --store /srv/data --structure                   # quick: is all there?",
      "aetherfs verify --store /srv/data --heal-from hub.example:8080  # store anew what is damaged",
    ],
    load: () => import("./verify.ts"),
  },
  {
    name: "copy",
    takes: "[what]",
    usage: "[options] REF|NAME|GLOB|--all [--from STORE] --to STORE",
    summary:
      "copy versions from one store or hub to another, with their digests and history: only what the other lacks moves",
    examples: [
      "aetherfs copy maxmind:stable --from hub.example:8080 --to /srv/mirror",
      "aetherfs copy maxmind --history all --from /srv/data --to hub.example:8080    # all tags, as they came about",
      "aetherfs copy '@acme/*' --from hub.example:8080 --to file:///srv/mirror",
      "aetherfs copy --all --delete --from hub.example:8080 --to /srv/mirror         # a mirror of all tags: run it again and again",
      "aetherfs copy maxmind@sha256:98ea… -t maxmind:audited --from /srv/data --to other.example:8080",
    ],
    load: () => import("./copy.ts"),
  },
  {
    name: "tag",
    takes: "<ref> <newref>",
    summary: "point a tag at a version that is there",
    examples: ["aetherfs tag maxmind:2026-11-22 maxmind:stable"],
    load: () => import("./tag.ts"),
  },
  {
    name: "rollback",
    takes: "<ref>",
    summary: "point a tag at a version that it pointed at before",
    examples: ["aetherfs rollback maxmind:stable", "aetherfs rollback maxmind:stable --to 3"],
    load: () => import("./rollback.ts"),
  },
  {
    name: "rm",
    takes: "<ref>",
    summary: "remove a tag, which a rollback brings back, or a whole dataset, which undelete does",
    examples: ["aetherfs rm maxmind:2026-11-22", "aetherfs rm --yes maxmind    # the whole dataset"],
    load: () => import("./rm.ts"),
  },
  {
    name: "prune",
    takes: "",
    summary: "remove from the store what no version needs; a hub does so by itself once a day",
    examples: [
      "aetherfs prune --dry-run                         # what would go?",
      "aetherfs prune                                   # condemns what nothing needs, and removes what was condemned a day ago",
      "aetherfs --store file:///var/lib/data prune --grace 0s --wait 20m   # at once, when nobody reads or pushes",
      "aetherfs prune --repack-below 80% --max-repack-size 50GB --rate-limit 20MB",
    ],
    load: () => import("./prune.ts"),
  },
  {
    name: "undelete",
    takes: "<name>",
    summary: "bring a deleted dataset back, as long as prune has not removed it",
    examples: ["aetherfs undelete maxmind"],
    load: () => import("./undelete.ts"),
  },
  {
    name: "dataset",
    takes: "<name>",
    summary: "show a dataset's settings, and how many versions they keep",
    examples: ["aetherfs dataset maxmind", "aetherfs dataset maxmind --output json | jq .retention"],
    load: () => import("./dataset.ts"),
  },
  {
    name: "set",
    takes: "<name>",
    usage: "[options] NAME",
    summary:
      "change a dataset's settings: what prune keeps of its versions, which tags never move, how it is cut",
    examples: [
      "aetherfs set maxmind --keep-last 10 --keep-within 30d --dry-run   # what would go?",
      "aetherfs set maxmind --keep-last 10 --keep-within 30d --keep-tag 'release-*'",
      "aetherfs set maxmind --keep-last none                             # without this rule",
      "aetherfs set maxmind --immutable-tag 'v*'",
    ],
    load: () => import("./set.ts"),
  },
  {
    name: "mount",
    takes: "<ref> <dir>",
    usage: "[options] REF DIR",
    summary: "show a version as a folder, whose files are fetched as they are read",
    examples: [
      "aetherfs mount hub.example:8080/maxmind:2026-11-22 /mnt/maxmind",
      "aetherfs mount --follow --cache_size 20GiB maxmind:stable /mnt/maxmind   # the newest, always",
      "aetherfs mount --store /srv/data --foreground maxmind:stable /mnt/maxmind",
      "aetherfs mount --offline maxmind:stable /mnt/maxmind   # what was read before, without the hub",
    ],
    load: () => import("./mount.ts"),
  },
  {
    name: "umount",
    takes: "<dir>",
    summary: "unmount a folder that mount shows",
    examples: [
      "aetherfs umount /mnt/maxmind",
      "aetherfs umount --lazy /mnt/maxmind   # although it is in use",
    ],
    load: () => import("./umount.ts"),
  },
  {
    name: "completion",
    takes: "<shell>",
    summary: "write a script that completes commands and options in bash, zsh or fish",
    choices: ["bash", "zsh", "fish"],
    examples: [
      "source <(aetherfs completion bash)         # in ~/.bashrc",
      "aetherfs completion fish > ~/.config/fish/completions/aetherfs.fish",
    ],
    load: () => import("./completion.ts"),
  },
  {
    name: "run",
    takes: "",
    summary: "serve a store to other machines: a hub, until SIGTERM or SIGINT ends it",
    examples: [
      "aetherfs run                                       # on port 8080, data in ~/.local/share/aetherfs",
      "aetherfs run --port 9000 --storage_file_path /srv/datasets --log_format text",
      "aetherfs run --tls_enable --tls_cert_file hub.crt --tls_key_file hub.key",
    ],
    load: () => import("./run.ts"),
  },
  {
    name: "version",
    takes: "",
    summary: "say which AetherFS this is",
    examples: ["aetherfs version --output json"],
    load: () => import("./version.ts"),
  },
];
