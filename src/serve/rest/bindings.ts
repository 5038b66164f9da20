/** Which requests of HTTP mean which methods: the annotations of proto/ (google/api/http.proto). */
import { getOption, hasOption, type DescMethod } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { AetherError } from "../../base/errors.ts";
import { http } from "../../gen/google/api/annotations_pb.ts";
import type { HttpRule } from "../../gen/google/api/http_pb.ts";
import type { RpcService } from "../../rpc/rpc-service.ts";

/** A method as connect-es's ServiceImpl has it, whatever its kind. */
export type Implementation = (request: unknown, context: HandlerContext) => unknown;

/** One form in which a method is asked for. */
export interface Binding {
  readonly service: RpcService["service"];
  readonly method: DescMethod;
  readonly run: Implementation;
  /** Of HTTP. */
  readonly verb: string;
  /** As the annotation has it: `/api/v1/catalog/{name=**}/tags/{tag}`. */
  readonly template: string;
  readonly pattern: RegExp;
  /** Fields that the path gives, in order, as paths from the request message: `tag.name`. */
  readonly variables: readonly string[];
  readonly hasBody: boolean;
}

const VARIABLE = /\{([\w.]+)(=\*\*)?\}/g;
/** `name` or `@scope/name`, whose slash may be written as %2F; a scope alone is none, so that `@scope/tags` is a dataset. */
const NAME = "(@[^/]+/[^/]+|[^/@][^/]*|@[^/]+%2[Ff][^/]+)";
const SEGMENT = "([^/]+)";

/** The bindings of all methods that have one. */
export function bindingsOf(services: readonly RpcService[]): readonly Binding[] {
  return services.flatMap(({ service, impl }) =>
    service.methods.flatMap((method) => {
      const run = (impl as Record<string, Implementation | undefined>)[method.localName];
      if (run === undefined || !hasOption(method, http)) return [];
      const rule = getOption(method, http);
      return [rule, ...rule.additionalBindings].map((one) =>
        bind(one, { service, method, run: run.bind(impl) }),
      );
    }),
  );
}

function bind(rule: HttpRule, called: Pick<Binding, "service" | "method" | "run">): Binding {
  const { pattern } = rule;
  const isCustom = pattern.case === "custom";
  const template = isCustom ? pattern.value.path : String(pattern.value);
  const verb = (isCustom ? pattern.value.kind : String(pattern.case)).toUpperCase();
  const variables: string[] = [];
  const source = template.replaceAll(VARIABLE, (_, field: string, isName: string | undefined) => {
    variables.push(field);
    return isName === undefined ? SEGMENT : NAME;
  });
  return {
    ...called,
    verb,
    template,
    pattern: new RegExp(`^${source}$`),
    variables,
    hasBody: rule.body === "*",
  };
}

/** What a request asks for. */
export interface Match {
  readonly binding: Binding;
  /** Values of the binding's variables, in order. */
  readonly values: readonly string[];
}

/**
 * The binding of a request, or the verbs that the path has instead; both empty when nothing is there. HEAD is asked of
 * whatever GET gives in one message. Errors: PATH_INVALID for a path that does not decode.
 */
export function matchRequest(
  bindings: readonly Binding[],
  verb: string,
  path: string,
): { readonly match: Match | undefined; readonly verbs: readonly string[] } {
  const verbs = new Set<string>();
  for (const wanted of verb === "HEAD" ? ["HEAD", "GET"] : [verb]) {
    for (const binding of bindings) {
      const found = binding.pattern.exec(path);
      if (found === null) continue;
      verbs.add(binding.verb);
      if (hasHead(binding)) verbs.add("HEAD");
      if (binding.verb !== wanted || (verb !== wanted && !hasHead(binding))) continue;
      return { match: { binding, values: found.slice(1).map(decode) }, verbs: [] };
    }
  }
  return { match: undefined, verbs: [...verbs] };
}

/** A stream of messages may have no end, and so no header of the whole. */
function hasHead({ verb, method }: Binding): boolean {
  return verb === "GET" && method.methodKind === "unary";
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (cause) {
    throw new AetherError("PATH_INVALID", "the path has a % that encodes nothing", { cause });
  }
}
