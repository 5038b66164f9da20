/** Which operation of S3 a request is, by its form (path style). */

/** What tells operations apart. */
export interface S3Request {
  readonly method: string;
  /** Path and query, as in the request line. */
  readonly path: string;
  /** Whether it names an object to copy from. */
  readonly isCopy: boolean;
}

/** The operation's name as in the S3 API; METHOD and "Other" for one that is none of those that are known here. */
export function operationOf({ method, path, isCopy }: S3Request): string {
  const { pathname, searchParams } = new URL(path, "http://s3");
  const [, bucket = "", key = ""] = /^\/([^/]*)\/?(.*)$/s.exec(pathname) ?? [];
  const has = (name: string): boolean => searchParams.has(name);
  if (bucket === "") return method === "GET" ? "ListBuckets" : `${method} Other`;
  if (key === "") return ofBucket(method, has);
  return ofObject(method, has, isCopy);
}

function ofBucket(method: string, has: (name: string) => boolean): string {
  if (method === "GET") {
    if (has("list-type")) return "ListObjectsV2";
    if (has("uploads")) return "ListMultipartUploads";
    return has("location") ? "GetBucketLocation" : "ListObjects";
  }
  if (method === "POST" && has("delete")) return "DeleteObjects";
  const plain: Readonly<Record<string, string>> = {
    HEAD: "HeadBucket",
    PUT: "CreateBucket",
    DELETE: "DeleteBucket",
  };
  return plain[method] ?? `${method} Other`;
}

function ofObject(method: string, has: (name: string) => boolean, isCopy: boolean): string {
  const isPart = has("uploadId");
  switch (method) {
    case "GET":
      return isPart ? "ListParts" : "GetObject";
    case "HEAD":
      return "HeadObject";
    case "PUT":
      if (isPart) return "UploadPart";
      return isCopy ? "CopyObject" : "PutObject";
    case "POST":
      if (has("uploads")) return "CreateMultipartUpload";
      return isPart ? "CompleteMultipartUpload" : "POST Other";
    case "DELETE":
      return isPart ? "AbortMultipartUpload" : "DeleteObject";
    default:
      return `${method} Other`;
  }
}
