/** What signs requests: a pair of an id, which everybody sees, and a secret that client and hub share. */

/** A key, and whose it is. */
export interface AccessKey {
  readonly secret: string;
  /** The name that its owner has in histories and logs. */
  readonly name: string;
}

/** The keys that are known now. */
export interface AccessKeys {
  find(id: string): AccessKey | undefined;
}
