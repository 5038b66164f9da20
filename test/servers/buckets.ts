/** Buckets on servers of others. */
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { systemRandom } from "../../src/base/random.ts";
import type { S3Server } from "./s3-server.ts";

/** Makes a bucket of a random name, and gives it. */
export async function newBucket({ endpoint, credentials }: S3Server): Promise<string> {
  const client = new S3Client({ endpoint, credentials, region: "us-east-1", forcePathStyle: true });
  const bucket = `test-${systemRandom.id()}`;
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  client.destroy();
  return bucket;
}
