import { AetherError } from "../base/errors.ts";
import type { HttpResponse } from "./http-handler.ts";

/** Whether it was sent whole, or its client has gone; by HTTP/2 only its stream tells. */
export function isClosed(response: HttpResponse): boolean {
  const { stream } = response as { readonly stream?: { readonly destroyed: boolean } };
  return response.closed || response.destroyed || stream?.destroyed === true;
}

/** Made once: it is for each answer that is sent, and an error costs more than all else there. */
const CLOSED = new AetherError("CANCELLED", "the client has gone");

/** Aborts when the response has closed: it was sent whole, or its client has gone. */
export function closing(response: HttpResponse): AbortSignal {
  const controller = new AbortController();
  if (isClosed(response)) controller.abort(CLOSED);
  else {
    response.once("close", () => {
      controller.abort(CLOSED);
    });
  }
  return controller.signal;
}
