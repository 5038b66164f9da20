/**
 * Serves one file by node:http and nothing else: what any server on this Node could reach that reads through its thread pool and writes to
 * a socket. `node bare-server-child.ts PORT FILE`; answers GET, whole or one range, without a look at the path.
 */
import { open } from "node:fs/promises";
import { createServer, type ServerResponse } from "node:http";

const BUFFER_BYTES = 2 ** 20;
/** As a hub does: the first part is small, and sent while the next is read. */
const FIRST_BYTES = 2 ** 17;

const [port, path = ""] = process.argv.slice(2);
const file = await open(path);
const { size } = await file.stat();
/** Used again: fresh memory costs more than the reading. */
const buffers: Buffer[] = [];

async function readPart(start: number, end: number): Promise<Buffer> {
  const buffer = buffers.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
  await file.read(buffer, 0, end - start, start);
  return buffer.subarray(0, end - start);
}

async function send(response: ServerResponse, start: number, end: number): Promise<void> {
  let at = Math.min(start + FIRST_BYTES, end);
  const parts = [readPart(start, at)];
  while (parts.length > 0 && !response.destroyed) {
    if (at < end) {
      const partEnd = Math.min(at + BUFFER_BYTES, end);
      parts.push(readPart(at, partEnd));
      at = partEnd;
    }
    const part = await parts.shift();
    if (part === undefined) break;
    await new Promise((resolve) => response.write(part, resolve));
    buffers.push(Buffer.from(part.buffer));
  }
  response.end();
}

createServer({ noDelay: true }, (request, response) => {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
  const isPart = first !== undefined;
  const [start, end] = isPart ? [Number(first), Number(last) + 1] : [0, size];
  const part = { "content-range": `bytes ${start}-${end - 1}/${size}` };
  response.writeHead(isPart ? 206 : 200, { "content-length": end - start, ...(isPart ? part : {}) });
  void send(response, start, end);
}).listen(Number(port), "127.0.0.1");
