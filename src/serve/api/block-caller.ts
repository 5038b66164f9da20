import type { HandlerContext } from "@connectrpc/connect";
import { codeOf } from "../../base/errors.ts";
import type { BlockCaller } from "../../dataset/view/views.ts";
import type { Services } from "../services.ts";
import { identify } from "./caller.ts";

/** Who makes a call that names no dataset, and which datasets they may read. Errors: UNAUTHENTICATED. */
export async function blockCaller(services: Services, context: HandlerContext): Promise<BlockCaller> {
  const identity = await identify(services, context);
  const mayRead: BlockCaller["mayRead"] = async (dataset) => {
    try {
      await services.access.check(identity, "read", dataset);
      return true;
    } catch (error) {
      if (codeOf(error) === "ACCESS_DENIED") return false;
      throw error;
    }
  };
  return { name: identity.name, mayRead };
}
