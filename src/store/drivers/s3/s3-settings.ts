/** How an S3 server is reached. */

/** An access key and its secret. */
export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of temporary credentials. */
  readonly sessionToken?: string;
}

/** Files in PEM, which are read again when they change. */
export interface S3Tls {
  /** Authorities that are trusted instead of the system's. */
  readonly caFile?: string | undefined;
  /** The own certificate and its key: both or none. */
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** How often the files are looked at, in milliseconds; a minute when not given. */
  readonly reloadMs?: number;
}

/** How long to wait, in milliseconds. */
export interface S3Timeouts {
  /** For a connection. */
  readonly connectMs: number;
  /** While nothing comes or goes on a connection that a request is on. */
  readonly idleMs: number;
  /** For a whole request, besides the time that its bytes may take. */
  readonly requestMs: number;
}

/** Where objects lie besides bucket and prefix, and how to get there. docs/s3.md */
export interface S3Settings {
  /** `http://host[:port]` or `https://host[:port]`; undefined: AWS's, or that of AWS's shared files. */
  readonly endpoint?: string | undefined;
  /** undefined: that of AWS's variables and shared files, else us-east-1, from where AWS redirects. */
  readonly region?: string | undefined;
  /** undefined: AWS's default chain of variables, shared files, container and machine. */
  readonly credentials?: S3Credentials | undefined;
  /** Where the bucket stands in an URL; auto: in the path, and of AWS in the host's name. */
  readonly pathStyle?: "auto" | "path" | "virtual";
  /** Nobody else writes: does without the conditional writes that some servers lack. */
  readonly singleWriter?: boolean;
  readonly tls?: S3Tls;
  readonly timeouts?: S3Timeouts;
}
