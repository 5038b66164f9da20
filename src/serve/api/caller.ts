/** Who makes a call, and whether they may. */
import type { HandlerContext } from "@connectrpc/connect";
import type { Action, Identity } from "../../auth/access.ts";
import { codeOf } from "../../base/errors.ts";
import { parseDatasetName, type DatasetName } from "../../format/reference.ts";
import type { Services } from "../services.ts";

/** Who makes the call. Errors: UNAUTHENTICATED. */
export function identify({ access }: Services, context: HandlerContext): Promise<Identity> {
  return access.identify(Object.fromEntries(context.requestHeader));
}

/** The dataset that a request names, once the caller may do that to it. Errors: REFERENCE_INVALID, UNAUTHENTICATED, ACCESS_DENIED. */
export async function allow(
  services: Services,
  context: HandlerContext,
  action: Action,
  text: string,
): Promise<{ readonly name: DatasetName; readonly identity: Identity }> {
  const name = parseDatasetName(text);
  const identity = await identify(services, context);
  await services.access.check(identity, action, name);
  return { name, identity };
}

/** Who makes the call, once they may do what concerns the whole store. Errors: UNAUTHENTICATED, ACCESS_DENIED. */
export async function allowAdmin(services: Services, context: HandlerContext): Promise<Identity> {
  const identity = await identify(services, context);
  await services.access.check(identity, "admin", "");
  return identity;
}

/** Those of the datasets that somebody may know of. */
export async function* visible(
  { access }: Services,
  identity: Identity,
  names: AsyncIterable<DatasetName>,
): AsyncGenerator<DatasetName> {
  for await (const name of names) {
    try {
      await access.check(identity, "list", name);
    } catch (error) {
      if (codeOf(error) === "ACCESS_DENIED") continue;
      throw error;
    }
    yield name;
  }
}
