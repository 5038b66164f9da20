/** What lets a client mount: a secret in the path that it mounts, where the protocol itself proves nothing. */

/** A token, and whose it is. */
export interface MountToken {
  /** SHA-256 of the secret: what is compared, so that how long it takes tells nothing of the secret. */
  readonly secret: Uint8Array;
  /** The name that its owner has in logs. */
  readonly name: string;
  /** Whether the token is good for the dataset. */
  readonly covers: (dataset: string) => boolean;
}

/** The tokens that are known now. */
export interface MountTokens {
  /** Another array whenever they are others. */
  readonly all: readonly MountToken[];
}
