/** Schemas of messages in proto3's JSON. https://protobuf.dev/programming-guides/json/ */
import {
  ScalarType,
  type DescField,
  type DescMessage,
  type JsonObject,
  type JsonValue,
} from "@bufbuild/protobuf";
import { COMMENTS } from "../../gen/comments.ts";

/** A JSON value. */
export type Json = JsonValue;

/** The schemas that something refers to, each once. */
export class Schemas {
  readonly #schemas = new Map<string, Json>();

  /** A reference to the message's schema. */
  reference(message: DescMessage): Json {
    if (message.typeName === "google.protobuf.Timestamp") return { type: "string", format: "date-time" };
    if (!this.#schemas.has(message.typeName)) {
      this.#schemas.set(message.typeName, {});
      this.#schemas.set(message.typeName, this.#schemaOf(message));
    }
    return { $ref: `#/components/schemas/${message.typeName}` };
  }

  /** All of them by name. */
  all(): Record<string, Json> {
    return Object.fromEntries(this.#schemas);
  }

  #schemaOf(message: DescMessage): Json {
    const comment = COMMENTS[message.typeName];
    const properties = message.fields.map((field) => [
      field.jsonName,
      described(field, schemaOf(field, this)),
    ]);
    return {
      type: "object",
      ...(comment === undefined ? {} : { description: comment }),
      properties: Object.fromEntries(properties) as Record<string, Json>,
    };
  }
}

/** The schema of a field's value. */
export function schemaOf(field: DescField, schemas: Schemas): Json {
  switch (field.fieldKind) {
    case "scalar":
      return scalarOf(field.scalar);
    case "message":
      return schemas.reference(field.message);
    case "enum":
      return { type: "string" };
    case "list":
      if (field.listKind === "message") return { type: "array", items: schemas.reference(field.message) };
      return {
        type: "array",
        items: field.listKind === "scalar" ? scalarOf(field.scalar) : { type: "string" },
      };
    case "map":
      return {
        type: "object",
        additionalProperties: field.mapKind === "scalar" ? scalarOf(field.scalar) : { type: "object" },
      };
  }
}

function described(field: DescField, schema: Json): Json {
  const comment = COMMENTS[`${field.parent.typeName}.${field.name}`];
  return comment === undefined ? schema : { ...(schema as JsonObject), description: comment };
}

function scalarOf(type: ScalarType): Json {
  switch (type) {
    case ScalarType.BOOL:
      return { type: "boolean" };
    case ScalarType.BYTES:
      return { type: "string", contentEncoding: "base64" };
    case ScalarType.INT32:
    case ScalarType.UINT32:
      return { type: "integer" };
    case ScalarType.INT64:
      return { type: "string", pattern: "^-?[0-9]+$" };
    case ScalarType.UINT64:
      return { type: "string", pattern: "^[0-9]+$" };
    default:
      return { type: "string" };
  }
}
