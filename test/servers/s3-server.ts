/** An S3 server of others. */

/** One that answers. */
export interface S3Server {
  /** `http://127.0.0.1:PORT`. */
  readonly endpoint: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** Ends its processes and removes what it kept. */
  readonly stop: () => Promise<void>;
}
