import { codeOf } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { sendProblem, type HttpHandler, type HttpRequest, type HttpResponse } from "../http-handler.ts";

/** Has a request answered, and answers itself with what the handler throws. Never rejects. */
export async function answer(
  handler: HttpHandler,
  request: HttpRequest,
  response: HttpResponse,
  log: Log,
): Promise<void> {
  try {
    await handler(request, response);
  } catch (error) {
    const { method, url } = request;
    if (codeOf(error) === "INTERNAL") log.error({ method, url, error }, "a request failed");
    sendProblem(response, error);
  }
}
