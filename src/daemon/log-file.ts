import { copyFileSync, fstatSync, ftruncateSync, statSync, writeSync } from "node:fs";

/** Whether a descriptor is open on just this file, which somebody opened before. */
export function isOpenOn(fd: number, file: string): boolean {
  try {
    const [open, named] = [fstatSync(fd), statSync(file)];
    return open.isFile() && open.dev === named.dev && open.ino === named.ino;
  } catch {
    return false;
  }
}

/**
 * A way to write lines to a log that is open for appending, perhaps by several processes. One that has `bytesMax` begins anew, and what it
 * had stands in `file` with `.1` after it until the next time. A line that cannot be written is lost.
 */
export function logFileWriter(fd: number, file: string, bytesMax: number): (line: string) => void {
  return (line) => {
    try {
      if (fstatSync(fd).size >= bytesMax) {
        copyFileSync(file, `${file}.1`);
        ftruncateSync(fd);
      }
    } catch {
      // It was removed, or there is no room for its copy: better too long than silent.
    }
    try {
      writeSync(fd, line);
    } catch {
      // Nobody is left to tell.
    }
  };
}
