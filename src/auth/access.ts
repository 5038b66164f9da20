/** Who is asking, and what they may do: the one decision point of every interface. */

/** Who makes a request. */
export interface Identity {
  /** For histories and logs; "anonymous" when nobody said. */
  readonly name: string;
}

/**
 * What somebody wants to do: see that a dataset exists, read its versions, change it; or, with no dataset, what concerns the
 * whole store.
 */
export type Action = "list" | "read" | "write" | "admin";

/** A request's headers, in lower case. */
export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/** Decides. */
export interface Access {
  /** Who a request is from. Errors: UNAUTHENTICATED when its credentials do not hold. */
  identify(headers: Headers): Promise<Identity>;
  /** Whether it may be done to the dataset, which is "" for "admin". Errors: ACCESS_DENIED. */
  check(identity: Identity, action: Action, dataset: string): Promise<void>;
}

/** Everybody may do everything. */
export const OPEN_ACCESS: Access = {
  identify: async () => ({ name: "anonymous" }),
  check: async () => undefined,
};
