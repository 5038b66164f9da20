/**
 * `node s3-api-child.ts URL BUCKET [ID SECRET]`: lists all keys of a bucket by ListObjectsV2, by requests that are signed when there is a
 * key; prints how many there were, and the seconds, as JSON. It reads no more of the XML than it must, so that the server is what is measured.
 */
import { ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { roundTo3 } from "./result.ts";

const [endpoint = "", Bucket = "", accessKeyId, secretAccessKey = ""] = process.argv.slice(2);
const credentials = { accessKeyId: accessKeyId ?? "", secretAccessKey };
const client = new S3Client({ endpoint, region: "us-east-1", forcePathStyle: true, credentials });

async function urlOf(token: string | undefined): Promise<string> {
  if (accessKeyId !== undefined) {
    return getSignedUrl(client, new ListObjectsV2Command({ Bucket, ContinuationToken: token }));
  }
  const more = token === undefined ? "" : `&continuation-token=${encodeURIComponent(token)}`;
  return `${endpoint}/${Bucket}?list-type=2${more}`;
}

const begunMs = performance.now();
let keys = 0;
let token: string | undefined;
do {
  const response = await fetch(await urlOf(token));
  const text = await response.text();
  if (!response.ok) throw new Error(text);
  keys += text.split("<Key>").length - 1;
  token = /<NextContinuationToken>([^<]*)</.exec(text)?.[1];
} while (token !== undefined);
client.destroy();
console.log(JSON.stringify({ keys, seconds: roundTo3((performance.now() - begunMs) / 1000) }));
