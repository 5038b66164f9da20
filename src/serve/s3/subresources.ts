/** What buckets and objects have beside their content: on a hub nothing can be set, so that every answer is what a new bucket gives. */
import { OWNER } from "./list-objects.ts";
import { S3Error, type S3Code } from "./s3-error.ts";
import { element, leaf, xmlDocument } from "./xml.ts";

/** The answer to a GET, as XML, or the code of what is not set. */
type Answer = { readonly xml: string } | { readonly code: S3Code };

const GRANTEE =
  '<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">' +
  "<ID>aetherfs</ID><DisplayName>aetherfs</DisplayName></Grantee>";
const ACL: Answer = {
  xml: xmlDocument(
    "AccessControlPolicy",
    OWNER,
    element("AccessControlList", element("Grant", GRANTEE, leaf("Permission", "READ"))),
  ),
};

const OF_BUCKETS: Readonly<Record<string, Answer>> = {
  accelerate: { xml: xmlDocument("AccelerateConfiguration") },
  acl: ACL,
  analytics: { code: "NoSuchConfiguration" },
  cors: { code: "NoSuchCORSConfiguration" },
  encryption: { code: "ServerSideEncryptionConfigurationNotFoundError" },
  "intelligent-tiering": { code: "NoSuchConfiguration" },
  inventory: { code: "NoSuchConfiguration" },
  lifecycle: { code: "NoSuchLifecycleConfiguration" },
  // The empty one is us-east-1.
  location: { xml: xmlDocument("LocationConstraint") },
  logging: { xml: xmlDocument("BucketLoggingStatus") },
  metrics: { code: "NoSuchConfiguration" },
  notification: { xml: xmlDocument("NotificationConfiguration") },
  "object-lock": { code: "ObjectLockConfigurationNotFoundError" },
  ownershipControls: { code: "OwnershipControlsNotFoundError" },
  policy: { code: "NoSuchBucketPolicy" },
  policyStatus: { code: "NoSuchBucketPolicy" },
  publicAccessBlock: { code: "NoSuchPublicAccessBlockConfiguration" },
  replication: { code: "ReplicationConfigurationNotFoundError" },
  requestPayment: { xml: xmlDocument("RequestPaymentConfiguration", leaf("Payer", "BucketOwner")) },
  tagging: { code: "NoSuchTagSet" },
  versioning: { xml: xmlDocument("VersioningConfiguration") },
  website: { code: "NoSuchWebsiteConfiguration" },
};

const OF_OBJECTS: Readonly<Record<string, Answer>> = {
  acl: ACL,
  "legal-hold": { code: "NoSuchObjectLockConfiguration" },
  retention: { code: "NoSuchObjectLockConfiguration" },
  tagging: { xml: xmlDocument("Tagging", element("TagSet")) },
  torrent: { code: "NoSuchKey" },
  uploadId: { code: "NoSuchUpload" },
};

/** The sub-resource of a bucket (`isObject` false) or an object that a query asks for, or undefined: for the thing itself. */
export function subresourceOf(query: ReadonlyMap<string, string>, isObject: boolean): string | undefined {
  const table = isObject ? OF_OBJECTS : OF_BUCKETS;
  return [...query.keys()].find((name) => Object.hasOwn(table, name));
}

/** Its XML. Errors: S3Error with the code of what is not set; `facts` say of which bucket or object. */
export function subresource(
  name: string,
  isObject: boolean,
  facts: Readonly<Record<string, string>>,
): string {
  const answer = (isObject ? OF_OBJECTS : OF_BUCKETS)[name];
  if (answer === undefined) throw new S3Error("NotImplemented");
  if ("xml" in answer) return answer.xml;
  throw new S3Error(answer.code, facts);
}

/** No upload is under way. */
export function noUploads(bucket: string, query: ReadonlyMap<string, string>): string {
  return xmlDocument(
    "ListMultipartUploadsResult",
    leaf("Bucket", bucket),
    leaf("KeyMarker", query.get("key-marker") ?? ""),
    leaf("UploadIdMarker", query.get("upload-id-marker") ?? ""),
    leaf("Prefix", query.get("prefix") ?? ""),
    leaf("MaxUploads", 1000),
    leaf("IsTruncated", false),
  );
}
