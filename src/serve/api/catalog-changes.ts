/** What the catalog's callers do to tags. */
import type { MethodImpl } from "@connectrpc/connect";
import type { Identity } from "../../auth/access.ts";
import { AetherError } from "../../base/errors.ts";
import { removeTag, rollback, tagVersion, type TagChangeOptions } from "../../dataset/tag-changes.ts";
import { parseDigest } from "../../format/digest.ts";
import { parseTag } from "../../format/reference.ts";
import type { Annotations, CatalogAPI } from "../../gen/aetherfs/hub/v1/catalog_pb.ts";
import type { Services } from "../services.ts";
import { allow } from "./caller.ts";
import { tagChangeOf } from "./catalog-messages.ts";
import { checkWriteId } from "./write-id.ts";

type Methods = typeof CatalogAPI.method;

/** CatalogAPI.SetTag. The caller must also be allowed to read the dataset that the version comes from. */
export function setTag(services: Services): MethodImpl<Methods["setTag"]> {
  return async (request, context) => {
    const { name, identity } = await allow(services, context, "write", request.name);
    const from = await allow(services, context, "read", request.fromName || request.name);
    if ((request.digest === "") === (request.fromTag === "")) {
      throw new AetherError(
        "ARGUMENT_INVALID",
        "say which version the tag shall point at: digest or from_tag",
      );
    }
    const source = {
      host: undefined,
      name: from.name,
      tag: request.fromTag === "" ? undefined : parseTag(request.fromTag),
      digest: request.digest === "" ? undefined : parseDigest(request.digest),
    };
    const target = { name, tag: parseTag(request.tag) };
    const options = changeOptions(identity, request.annotations, context.signal);
    return tagChangeOf(await tagVersion(services.engine, source, target, options));
  };
}

/** CatalogAPI.Rollback. */
export function rollbackTag(services: Services): MethodImpl<Methods["rollback"]> {
  return async (request, context) => {
    const { name, identity } = await allow(services, context, "write", request.name);
    if (request.number > 0n && request.digest !== "") {
      throw new AetherError("ARGUMENT_INVALID", "a rollback goes to a number or to a digest, not to both");
    }
    const version = request.digest === "" ? undefined : parseDigest(request.digest);
    const to = request.number > 0n ? Number(request.number) : version;
    const target = { name, tag: parseTag(request.tag) };
    const options = changeOptions(identity, request.annotations, context.signal);
    const goal = to === undefined ? {} : { to };
    return tagChangeOf(await rollback(services.engine, target, { ...options, ...goal }));
  };
}

/** CatalogAPI.DeleteTag. */
export function deleteTag(services: Services): MethodImpl<Methods["deleteTag"]> {
  return async (request, context) => {
    const { name, identity } = await allow(services, context, "write", request.name);
    const target = { name, tag: parseTag(request.tag) };
    const options = changeOptions(identity, request.annotations, context.signal);
    return tagChangeOf(await removeTag(services.engine, target, options));
  };
}

function changeOptions(
  identity: Identity,
  annotations: Annotations | undefined,
  signal: AbortSignal,
): TagChangeOptions {
  const { publisher = "", message = "", labels = {}, writeId = "" } = annotations ?? {};
  if (writeId !== "") checkWriteId(writeId);
  const says = { publisher: publisher || identity.name, message, labels, signal };
  return writeId === "" ? says : { ...says, writeId };
}
