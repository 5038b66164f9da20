/** Bulk bytes over plain HTTP: blocks out, frames in. docs/protocol.md §3, §4 */
import { AetherError } from "../../base/errors.ts";
import { sendMethodNotAllowed, type HttpHandler } from "../http-handler.ts";
import type { Services } from "../services.ts";
import { createBlockReader } from "./blocks.ts";
import { createFrameTaker } from "./frames.ts";

const BLOCK = /^\/bulk\/v1\/blocks\/([^/?]*)(?:\?|$)/;
const FRAMES = /^\/bulk\/v1\/frames(?:\?|$)/;

/** Answers `/bulk`. */
export function createBulk(services: Services): HttpHandler {
  const readBlock = createBlockReader(services);
  const takeFrames = createFrameTaker(services);
  return async (request, response) => {
    const { method, url = "" } = request;
    const hex = BLOCK.exec(url)?.[1];
    if (hex !== undefined) {
      if (method === "GET" || method === "HEAD") await readBlock(request, response, hex);
      else sendMethodNotAllowed(response, ["GET", "HEAD"]);
    } else if (FRAMES.test(url)) {
      if (method === "POST") await takeFrames(request, response);
      else sendMethodNotAllowed(response, ["POST"]);
    } else throw new AetherError("PATH_NOT_FOUND", "there is nothing here: see docs/protocol.md");
  };
}
