/** What else programs do with files than read them: run them, lock them, map them, lay a file system over them. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { noise } from "../../src/dataset/testing/engine.ts";
import { makePlace } from "../cli/command.ts";
import { requirePeer } from "../peers.ts";
import { ran, requireFuse, said, startMount } from "./mount-place.ts";

const LONG_NAME = "n".repeat(255);

const PYTHON_TRIES = `
import errno, fcntl, json, mmap, os, sqlite3, sys
top = sys.argv[1]
def at(name): return os.path.join(top, name)
def tried(work):
    try: return work()
    except OSError as error: return errno.errorcode[error.errno]
def opened(flags, name="big"):
    fd = os.open(at(name), flags, 0o644)
    os.close(fd)
    return "open"
found = {}
for flag in ["O_RDWR", "O_TRUNC", "O_APPEND", "O_CREAT", "O_NONBLOCK", "O_DIRECT", "O_NOATIME"]:
    found[flag] = tried(lambda: opened(getattr(os, flag)))
found["new"] = tried(lambda: opened(os.O_CREAT | os.O_WRONLY, "new"))
found["exclusive"] = tried(lambda: opened(os.O_CREAT | os.O_EXCL | os.O_WRONLY))
for name in ["user.other", "security.capability", "system.posix_acl_access", "trusted.overlay.opaque"]:
    found[name] = tried(lambda: os.getxattr(at("big"), name))
found["setxattr"] = tried(lambda: os.setxattr(at("big"), "user.a", b"1"))
fd = os.open(at("big"), os.O_RDONLY)
found["locks"] = [tried(lambda: fcntl.flock(fd, how | fcntl.LOCK_NB)) for how in [fcntl.LOCK_SH, fcntl.LOCK_EX]]
found["record lock"] = tried(lambda: fcntl.lockf(fd, fcntl.LOCK_SH | fcntl.LOCK_NB))
found["seek"] = [os.lseek(fd, 10, os.SEEK_DATA) - 10, os.lseek(fd, 0, os.SEEK_HOLE) - os.fstat(fd).st_size]
found["shared writing"] = tried(lambda: mmap.mmap(fd, 4096, mmap.MAP_SHARED, mmap.PROT_WRITE))
private = mmap.mmap(fd, 4096, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
private[0:3] = b"own"
found["private"] = private[0:3].decode()
aligned = mmap.mmap(-1, 65536)
direct = os.open(at("big"), os.O_RDONLY | os.O_DIRECT)
found["direct"] = os.preadv(direct, [aligned], 4096) == 65536 and aligned[:] == os.pread(fd, 65536, 4096)
found["loop"] = tried(lambda: os.stat(at("loop")))
found["name"] = [open(at(${JSON.stringify(LONG_NAME)})).read(), tried(lambda: os.stat(at("n" * 5000)))]
found["not utf-8"] = tried(lambda: os.stat(os.fsencode(top) + b"/\\xff"))
with sqlite3.connect("file:" + at("db") + "?mode=ro", uri=True) as db:
    found["sqlite"] = db.execute("select sum(a) from t").fetchone()[0]
print(json.dumps(found))
`;

const PYTHON_MAKES = `
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as db:
    db.execute("create table t(a)")
    db.executemany("insert into t values (?)", [(n,) for n in range(1000)])
`;

test("programs that lock, map, seek, query a database or try to write meet what Linux's own read-only file systems say", async (t) => {
  if (!requireFuse(t)) return;
  const python = requirePeer(t, "python3");
  if (python === undefined) return;
  const place = await makePlace(t);
  await place.write({ [`source/${LONG_NAME}`]: "long" });
  writeFileSync(join(place.folder, "source/big"), noise(3, 3_000_000));
  await said("sh", ["-c", "ln -s loop source/loop"], { cwd: place.folder });
  await said(python, ["-I", "-c", PYTHON_MAKES, join(place.folder, "source/db")]);
  await place.json("push", "-t", "set:v1", "source");
  const { folder } = await startMount(t, place, ["set:v1"]);
  assert.deepEqual(JSON.parse(await said(python, ["-I", "-c", PYTHON_TRIES, folder])), {
    ...{ O_RDWR: "EROFS", O_TRUNC: "EROFS", O_APPEND: "open", O_CREAT: "open", O_NONBLOCK: "open" },
    ...{ O_DIRECT: "open", O_NOATIME: "open", new: "EROFS", exclusive: "EEXIST" },
    ...{ "user.other": "ENODATA", "security.capability": "ENODATA", "system.posix_acl_access": "ENODATA" },
    ...{ "trusted.overlay.opaque": "ENODATA", setxattr: "EROFS", locks: [null, null], "record lock": null },
    ...{ seek: [0, 0], "shared writing": "EACCES", private: "own", direct: true, loop: "ELOOP" },
    ...{ name: ["long", "ENAMETOOLONG"], "not utf-8": "ENOENT", sqlite: 499_500 },
  });
});

test("a mount below an overlay is read, run, changed and removed from there, and stays as it is", async (t) => {
  if (!requireFuse(t)) return;
  const place = await makePlace(t);
  await place.write({ "source/d/a": "one", "source/run": '#!/bin/sh\necho ran "$1"\n', "source/gone": "" });
  await said("chmod", ["0755", join(place.folder, "source/run")]);
  await place.json("push", "-t", "set:v1", "source");
  const { folder } = await startMount(t, place, ["set:v1"]);
  mkdirSync(join(place.folder, "over"));
  // In a list of mounts of its own, which ends with the program.
  const script = `
set -e
mount -t tmpfs none over
mkdir over/upper over/work over/all
mount -t overlay none -o lowerdir=${folder},upperdir=over/upper,workdir=over/work over/all
cd over/all
./run it
printf ' more' >> d/a
mv d e
rm gone
cat e/a
ls
`;
  const words = ["--mount", "sh", "-c", script];
  const { exit, stdout, stderr } = await ran("unshare", words, { cwd: place.folder });
  assert.equal(exit, 0, stderr);
  assert.equal(stdout, "ran it\none moree\nrun\n");
  assert.equal(
    await said("sh", ["-c", "cat d/a; ls; ./run here"], { cwd: folder }),
    "oned\ngone\nrun\nran here\n",
  );
});
