import { codeOf, ERRORS } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { sendProblem, type HttpHandler, type HttpRequest, type HttpResponse } from "../http-handler.ts";

/** From here on it is not the client's fault. RFC 9110 §15.6 */
const INTERNAL_STATUS = 500;

/** Has a request answered, and answers itself with what the handler throws. Never rejects. */
export async function answer(
  handler: HttpHandler,
  request: HttpRequest,
  response: HttpResponse,
  log: Log,
): Promise<void> {
  let isOver = false as boolean;
  response.once("close", () => (isOver = true));
  try {
    await handler(request, response);
  } catch (error) {
    // That the client has gone is often told of by the request's body first.
    await new Promise(setImmediate);
    const { method, url } = request;
    const { http: status, retry } = ERRORS[codeOf(error)];
    const facts = { method, url, err: error };
    if (isOver) log.debug(facts, "a client has gone");
    else if (status >= INTERNAL_STATUS && retry) log.warn(facts, "a request could not be answered");
    else if (status >= INTERNAL_STATUS) log.error(facts, "a request failed");
    sendProblem(response, error);
  }
}
