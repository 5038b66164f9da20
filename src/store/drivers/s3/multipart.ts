import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  UploadPartCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { totalBytes } from "../../../base/bytes.ts";
import { AetherError } from "../../../base/errors.ts";
import { MiB } from "../../../base/limits.ts";
import { bodyOf, sliceParts } from "./bodies.ts";
import type { S3Calls } from "./s3-calls.ts";

/** AWS takes 5 MiB to 5 GiB, and ten thousand of them. */
const PART_BYTES = 32 * MiB;
const PARTS_AT_ONCE = 4;

/** Where an upload goes. */
export interface UploadTarget {
  readonly client: S3Client;
  readonly calls: S3Calls;
  /** The object, with the address's prefix. */
  readonly place: { readonly Bucket: string; readonly Key: string };
  /** For messages. */
  readonly store: string;
}

interface Part {
  readonly PartNumber: number;
  readonly ETag: string;
}

/**
 * Stores a large object in parts that are sent side by side. Whoever looks sees the whole object or none; what was sent is thrown
 * away when it fails. The caller looks at the result: completion may fail in an answer that says 200. Errors: those of s3Error.
 */
export async function uploadParts(
  target: UploadTarget,
  parts: readonly Uint8Array[],
  signal?: AbortSignal,
): Promise<void> {
  const { client, calls, place, store } = target;
  const begun = await calls.call("write", 0, signal, (inner) =>
    client.send(new CreateMultipartUploadCommand(place), { abortSignal: inner }),
  );
  const upload = { ...place, UploadId: begun.UploadId ?? "" };
  if (upload.UploadId === "") {
    throw new AetherError("STORE_UNAVAILABLE", `${store}: the server began an upload without a name`);
  }
  try {
    const sent = await sendParts(target, upload, parts, signal);
    await calls.call("write", totalBytes(parts), signal, (inner) =>
      client.send(new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts: sent } }), {
        abortSignal: inner,
      }),
    );
  } catch (error) {
    // Without the caller's signal: parts that nobody throws away are paid for. A bucket's lifecycle rule gets what stays.
    await calls
      .call("write", 0, undefined, (inner) =>
        client.send(new AbortMultipartUploadCommand(upload), { abortSignal: inner }),
      )
      .catch(() => undefined);
    throw error;
  }
}

async function sendParts(
  { client, calls }: UploadTarget,
  upload: { readonly Bucket: string; readonly Key: string; readonly UploadId: string },
  parts: readonly Uint8Array[],
  signal: AbortSignal | undefined,
): Promise<Part[]> {
  const total = totalBytes(parts);
  const sent: Part[] = [];
  const failed = new AbortController();
  const either = signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal]);
  let next = 0;
  const work = async (): Promise<void> => {
    for (;;) {
      const index = next++;
      const start = index * PART_BYTES;
      if (start >= total) return;
      const slices = sliceParts(parts, start, Math.min(start + PART_BYTES, total));
      const bytes = totalBytes(slices);
      const { ETag } = await calls.call("write", bytes, either, (inner) => {
        const body = { Body: bodyOf(slices), ContentLength: bytes };
        return client.send(new UploadPartCommand({ ...upload, PartNumber: index + 1, ...body }), {
          abortSignal: inner,
        });
      });
      sent[index] = { PartNumber: index + 1, ETag: ETag ?? "" };
    }
  };
  const workers = Array.from({ length: PARTS_AT_ONCE }, () =>
    work().catch((error: unknown) => {
      failed.abort(error);
      throw error;
    }),
  );
  // All of them have ended before the parts' memory is the caller's again.
  for (const result of await Promise.allSettled(workers)) {
    if (result.status === "rejected") throw failed.signal.reason;
  }
  return sent;
}
