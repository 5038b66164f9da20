/** Requests of HTTP as messages. */
import {
  fromJson,
  type DescField,
  type DescMessage,
  type JsonObject,
  type JsonValue,
} from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import { AetherError } from "../../base/errors.ts";
import type { HttpRequest } from "../http-handler.ts";
import { readBody } from "../request-body.ts";
import type { Match } from "./bindings.ts";

const JSON_TYPE = /^application\/(?:json|[\w.-]+\+json)\s*(?:;|$)/i;
const BYTES_TYPE = /^application\/octet-stream\s*(?:;|$)/i;

/** The type of body that a method takes, when the request has another. A body of no type is JSON. */
export function typeInstead({ binding }: Match, { headers }: HttpRequest): string | undefined {
  const { method, hasBody } = binding;
  if (!hasBody) return undefined;
  const isPacked = (headers["content-encoding"] ?? "identity") !== "identity";
  const type = headers["content-type"];
  if (method.methodKind === "client_streaming") {
    return !isPacked && type !== undefined && BYTES_TYPE.test(type) ? undefined : "application/octet-stream";
  }
  return !isPacked && (type === undefined || JSON_TYPE.test(type)) ? undefined : "application/json";
}

/** The message of a request: of its body, then its query, then its path. Errors: ARGUMENT_INVALID; LIMIT_EXCEEDED. */
export async function readMessage(
  { binding, values }: Match,
  request: HttpRequest,
  query: URLSearchParams,
  bodyBytesMax: number,
): Promise<unknown> {
  const { input } = binding.method;
  const json = binding.hasBody ? await readJson(request, bodyBytesMax) : {};
  if (binding.hasBody && query.size > 0) {
    throw new AetherError("ARGUMENT_INVALID", "this call takes its fields in the body, none in the query");
  }
  for (const name of new Set(query.keys())) setField(json, input, name, query.getAll(name));
  for (const [index, name] of binding.variables.entries()) setField(json, input, name, [values[index] ?? ""]);
  return parse(input, json);
}

/** A message in JSON. Errors: ARGUMENT_INVALID. */
function parse(input: DescMessage, json: JsonValue): unknown {
  try {
    return fromJson(input, json);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : "";
    throw new AetherError("ARGUMENT_INVALID", `the request does not fit: ${why}`, { cause });
  }
}

/** Sets what a path or a query says of a field: text, which the field's type gives a meaning. */
function setField(target: JsonObject, message: DescMessage, path: string, texts: readonly string[]): void {
  const [head = "", ...rest] = path.split(".");
  const field = message.fields.find(({ name, jsonName }) => name === head || jsonName === head);
  if (field === undefined)
    throw new AetherError("ARGUMENT_INVALID", `there is no field ${JSON.stringify(path)}`);
  const key = field.jsonName;
  if (rest.length > 0 && field.fieldKind === "message") {
    const inner = target[key] ?? (target[key] = {});
    setField(inner as JsonObject, field.message, rest.join("."), texts);
    return;
  }
  target[key] = valueOf(field, path, texts);
}

function valueOf(field: DescField, path: string, texts: readonly string[]): JsonValue {
  const only = texts[0];
  if (field.fieldKind === "list" && field.listKind === "scalar") return [...texts];
  if (field.fieldKind !== "scalar" || only === undefined || texts.length > 1) {
    throw new AetherError("ARGUMENT_INVALID", `${JSON.stringify(path)} takes one value that is no message`);
  }
  if (field.scalar !== ScalarType.BOOL) return only;
  if (only === "true" || only === "") return true;
  if (only === "false") return false;
  throw new AetherError("ARGUMENT_INVALID", `${JSON.stringify(path)} is neither true nor false`);
}

async function readJson(request: HttpRequest, bytesMax: number): Promise<JsonObject> {
  const bytes = await readBody(request, bytesMax);
  if (bytes.byteLength === 0) return {};
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : "";
    throw new AetherError("ARGUMENT_INVALID", `the body is not JSON: ${why}`, { cause });
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw new AetherError("ARGUMENT_INVALID", "the body is not a JSON object");
}
