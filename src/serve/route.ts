/** Which interface answers a request: told by the first part of its path. */
import { AetherError } from "../base/errors.ts";
import type { HttpHandler } from "./http-handler.ts";

/** First part of a path (`fs` of `/fs/name/tag`) → who answers. */
export type Routes = Readonly<Record<string, HttpHandler>>;

/**
 * A handler that passes each request on by the first part of its path; `otherwise` gets what no route has. Errors:
 * PATH_INVALID for a target that is no path.
 */
export function route(routes: Routes, otherwise: HttpHandler): HttpHandler {
  const table = new Map(Object.entries(routes));
  return (request, response) => {
    const first = firstPart(request.url ?? "");
    if (first === undefined) throw new AetherError("PATH_INVALID", "the request's target is no path");
    return (table.get(first) ?? otherwise)(request, response);
  };
}

function firstPart(target: string): string | undefined {
  return /^\/([^/?#]*)/.exec(target)?.[1];
}
