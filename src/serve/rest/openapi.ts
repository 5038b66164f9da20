/** The description of REST as OpenAPI 3.1, from the same definitions. https://spec.openapis.org/oas/v3.1.0 */
import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { ERRORS } from "../../base/errors.ts";
import { COMMENTS } from "../../gen/comments.ts";
import type { Binding } from "./bindings.ts";
import { EXAMPLES, type Example } from "./examples.ts";
import { schemaOf, Schemas, type Json } from "./schemas.ts";

/** The document: a JSON value. */
export function openApiOf(bindings: readonly Binding[], version: string): Json {
  const schemas = new Schemas();
  const paths: Record<string, Record<string, Json>> = {};
  for (const binding of bindings) {
    const path = pathOf(binding);
    (paths[path] ??= {})[binding.verb.toLowerCase()] = operationOf(binding, bindings, schemas);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "AetherFS",
      version,
      summary: "Versioned, deduplicated, verified datasets.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    tags: [...new Set(bindings.map(({ service }) => service))].map(({ name, typeName }) => ({
      name,
      description: COMMENTS[typeName] ?? name,
    })),
    paths,
    components: { schemas: { ...schemas.all(), Problem: PROBLEM } },
  };
}

/** RFC 9457 */
const PROBLEM: Json = {
  type: "object",
  description: "What went wrong (RFC 9457). Match on code.",
  required: ["type", "title", "status"],
  properties: {
    type: { type: "string", format: "uri-reference" },
    title: { type: "string" },
    status: { type: "integer" },
    detail: { type: "string" },
    code: { type: "string", enum: Object.keys(ERRORS) },
    retry: { type: "boolean", description: "Whether the same call may succeed later." },
    data: { type: "object", additionalProperties: true },
  },
};

const PROBLEM_ANSWER: Json = {
  description: "It failed.",
  content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
};

/** `{name=**}` is a name, which may have a slash. */
function pathOf({ template }: Binding): string {
  return template.replaceAll("=**", "");
}

/** The name of an operation: the method's, with the variables that tell its forms apart. */
function operationIdOf(binding: Binding, all: readonly Binding[]): string {
  const { service, method, variables } = binding;
  const forms = all.filter((other) => other.method === method);
  const suffix = forms[0] === binding ? "" : `_by_${variables.join("_").replaceAll(".", "_")}`;
  return `${service.name}_${method.name}${suffix}`;
}

function operationOf(binding: Binding, all: readonly Binding[], schemas: Schemas): Json {
  const { service, method, hasBody } = binding;
  const operationId = operationIdOf(binding, all);
  const example = EXAMPLES[operationId];
  const comment = COMMENTS[`${service.typeName}.${method.name}`] ?? method.name;
  const isUpload = method.methodKind === "client_streaming";
  return {
    operationId,
    tags: [service.name],
    summary: comment.split(". ")[0] ?? comment,
    description: comment,
    parameters: parametersOf(binding, example, schemas),
    ...(isUpload ? { requestBody: UPLOAD } : {}),
    ...(hasBody && !isUpload ? { requestBody: bodyOf(method.input, example, schemas) } : {}),
    responses: { "200": answerOf(binding, schemas), default: PROBLEM_ANSWER },
  };
}

const UPLOAD: Json = {
  required: true,
  content: { "application/octet-stream": { schema: { type: "string", format: "binary" } } },
};

function bodyOf(input: DescMessage, example: Example | undefined, schemas: Schemas): Json {
  const schema = schemas.reference(input);
  return {
    required: true,
    content: {
      "application/json": { schema, ...(example?.body === undefined ? {} : { example: example.body }) },
    },
  };
}

function answerOf({ method, verb }: Binding, schemas: Schemas): Json {
  const description = COMMENTS[method.output.typeName] ?? "It is done.";
  if (verb === "HEAD") return { description };
  const schema = schemas.reference(method.output);
  if (method.methodKind !== "server_streaming")
    return { description, content: { "application/json": { schema } } };
  if (method.output.fields.length === 1) {
    return {
      description,
      content: { "application/octet-stream": { schema: { type: "string", format: "binary" } } },
    };
  }
  return {
    description: `${description} One a line, or as server-sent events.`,
    content: { "application/x-ndjson": { schema }, "text/event-stream": { schema: { type: "string" } } },
  };
}

function parametersOf(binding: Binding, example: Example | undefined, schemas: Schemas): Json[] {
  const { method, variables, hasBody } = binding;
  const inPath: Json[] = variables.map((name) =>
    parameter(method.input, name, "path", example?.path[name], schemas),
  );
  const inHeader: Json[] = Object.entries(example?.headers ?? {}).map(([name, value]) => ({
    ...{ name, in: "header", required: true, schema: { type: "string" }, example: value },
  }));
  if (hasBody) return [...inPath, ...inHeader];
  const others = method.input.fields.filter(
    ({ name }) => !variables.some((variable) => variable.split(".")[0] === name),
  );
  const inQuery = others.map((field) =>
    parameter(method.input, field.name, "query", example?.query?.[field.jsonName], schemas),
  );
  return [...inPath, ...inQuery, ...inHeader];
}

function parameter(
  message: DescMessage,
  path: string,
  where: "path" | "query",
  example: string | undefined,
  schemas: Schemas,
): Json {
  const field = fieldAt(message, path);
  const comment = field === undefined ? undefined : COMMENTS[`${field.parent.typeName}.${field.name}`];
  return {
    name: where === "path" ? path : (field?.jsonName ?? path),
    in: where,
    ...(where === "path" ? { required: true } : {}),
    ...(comment === undefined ? {} : { description: comment }),
    schema: field === undefined ? { type: "string" } : schemaOf(field, schemas),
    ...(example === undefined ? {} : { example }),
  };
}

function fieldAt(message: DescMessage, path: string): DescField | undefined {
  const [head = "", ...rest] = path.split(".");
  const field = message.fields.find(({ name }) => name === head);
  if (field?.fieldKind === "message" && rest.length > 0) return fieldAt(field.message, rest.join("."));
  return field;
}
