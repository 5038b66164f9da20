/** Who looks: the token in the path that was mounted, or nobody in particular, since AUTH_SYS proves nothing. */
import type { Access, Identity } from "../../auth/access.ts";
import type { MountToken, MountTokens } from "../../auth/mount-tokens.ts";
import { hash } from "node:crypto";
import { AetherError } from "../../base/errors.ts";
import type { DatasetName } from "../../format/reference.ts";
import { callerOf } from "../caller.ts";
import { tokenIdOf, type TokenId } from "./handles.ts";
import type { Visitor } from "./nodes.ts";

/** A visitor with the name that it has in logs. */
export interface NamedVisitor extends Visitor {
  readonly name: string;
}

/** Tells visitors by their tokens. */
export class Visitors {
  readonly #access: Access;
  readonly #tokens: MountTokens | undefined;
  #seen: readonly MountToken[] = [];
  #bySecret = new Map<string, MountToken>();
  #byId = new Map<TokenId, Uint8Array[]>();

  /** `tokens` undefined: none is needed. */
  constructor(access: Access, tokens: MountTokens | undefined) {
    this.#access = access;
    this.#tokens = tokens;
  }

  /** Whether nothing is shown without a token. */
  get needsToken(): boolean {
    return this.#tokens !== undefined;
  }

  /** The digests of the secrets that a handle's short form may stand for. */
  secretsOf(id: TokenId): readonly Uint8Array[] {
    this.#look();
    return this.#byId.get(id) ?? [];
  }

  /** Who mounts with this secret, or with none. Errors: UNAUTHENTICATED when that is nobody. */
  async bySecret(secret: string | undefined): Promise<NamedVisitor> {
    return this.byDigest(secret === undefined ? undefined : hash("sha256", secret, "buffer"));
  }

  /** As bySecret(), by the secret's digest. */
  async byDigest(secret: Uint8Array | undefined): Promise<NamedVisitor> {
    if (this.#tokens === undefined && secret === undefined) {
      const identity = await this.#access.identify({});
      return { name: identity.name, secret, caller: callerOf(this.#access, identity) };
    }
    this.#look();
    const token = secret && this.#bySecret.get(keyOf(secret));
    if (token === undefined)
      throw new AetherError("UNAUTHENTICATED", "the path that is mounted begins with no token that is known");
    return { name: token.name, secret, caller: this.#callerOf(token) };
  }

  #callerOf({ name: owner, covers }: MountToken): NamedVisitor["caller"] {
    const identity: Identity = { name: owner };
    return {
      check: async (action, name: DatasetName) => {
        if (!covers(name)) throw new AetherError("ACCESS_DENIED", `the token of ${owner} is not for ${name}`);
        await this.#access.check(identity, action, name);
      },
    };
  }

  #look(): void {
    const all = this.#tokens?.all ?? [];
    if (all === this.#seen) return;
    this.#seen = all;
    this.#bySecret = new Map(all.map((token) => [keyOf(token.secret), token]));
    this.#byId = new Map();
    for (const { secret } of all) {
      const id = tokenIdOf(secret);
      this.#byId.set(id, [...(this.#byId.get(id) ?? []), secret]);
    }
  }
}

function keyOf(secret: Uint8Array): string {
  return Buffer.from(secret).toString("latin1");
}
