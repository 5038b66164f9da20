import { readFile } from "node:fs/promises";
import { constants } from "node:os";

const { SIGKILL, SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGXCPU, SIGXFSZ, SIGSYS } =
  constants.signals;
/** To those threads that another signal ends, the kernel sends this one in its stead (kernel/signal.c, `complete_signal`)... */
const KILLED = maskOf(SIGKILL);
/** ...but for those that leave a core: a thread that neither catches nor ignores nor blocks them ends with them. */
const CORE = maskOf(SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGXCPU, SIGXFSZ, SIGSYS);

/**
 * Whether a signal that ends the thread waits to be heard by it. False also when that is not known: `pid` is 0 of a thread that this
 * process cannot see, or /proc does not tell. proc_pid_status(5)
 */
export async function isDying(pid: number): Promise<boolean> {
  if (pid === 0) return false;
  const text = await readFile(`/proc/${pid}/status`, "latin1").catch(() => "");
  const signals = (name: string): bigint => {
    const [, bits = "0"] = new RegExp(`^${name}:\\s*([0-9a-f]+)$`, "m").exec(text) ?? [];
    return BigInt(`0x${bits}`);
  };
  const kept = signals("SigBlk") | signals("SigIgn") | signals("SigCgt");
  const pending = signals("SigPnd") | signals("ShdPnd");
  return (pending & (KILLED | (CORE & ~kept))) !== 0n;
}

function maskOf(...numbers: readonly number[]): bigint {
  return numbers.reduce((mask, number) => mask | (1n << BigInt(number - 1)), 0n);
}
