/** The standard reflection service, in both of its names: what tools such as grpcurl ask. */
import {
  createRegistry,
  toBinary,
  type DescFile,
  type MessageInitShape,
  type Registry,
} from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import {
  ServerReflection,
  type ServerReflectionRequest,
  type ServerReflectionResponseSchema,
} from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { rpcService, type RpcService } from "../../rpc/rpc-service.ts";

type Answer = NonNullable<MessageInitShape<typeof ServerReflectionResponseSchema>["messageResponse"]>;

/** Reflection of the services and of itself. */
export function reflectionServices(services: readonly RpcService[]): readonly RpcService[] {
  const all = [...services.map(({ service }) => service), ServerReflection, ServerReflectionAlpha];
  const files = new Map<string, DescFile>();
  for (const { file } of all) addFile(files, file);
  const registry = createRegistry(...files.values());
  const names = all.map(({ typeName }) => ({ name: typeName }));
  const answer = (request: ServerReflectionRequest) => ({
    validHost: request.host,
    originalRequest: request,
    messageResponse: answerTo(request, registry, files, names),
  });
  async function* info(requests: AsyncIterable<ServerReflectionRequest>) {
    for await (const request of requests) yield answer(request);
  }
  // Both have the same messages under two names: what is said in one is encoded as the other.
  type Alpha = Parameters<typeof rpcService<typeof ServerReflectionAlpha>>[1];
  return [
    rpcService(ServerReflection, { serverReflectionInfo: info }),
    rpcService(ServerReflectionAlpha, { serverReflectionInfo: info } as unknown as Alpha),
  ];
}

function addFile(files: Map<string, DescFile>, file: DescFile): void {
  if (files.has(file.proto.name)) return;
  files.set(file.proto.name, file);
  for (const dependency of file.dependencies) addFile(files, dependency);
}

function answerTo(
  { messageRequest: request }: ServerReflectionRequest,
  registry: Registry,
  files: ReadonlyMap<string, DescFile>,
  names: readonly { readonly name: string }[],
): Answer {
  if (request.case === "listServices") {
    return { case: "listServicesResponse", value: { service: [...names] } };
  }
  if (request.case === "fileByFilename") return fileAnswer(files.get(request.value), files);
  if (request.case === "fileContainingSymbol") {
    return fileAnswer(fileOf(request.value, registry), files);
  }
  if (request.case === "allExtensionNumbersOfType") {
    return {
      case: "allExtensionNumbersResponse",
      value: { baseTypeName: request.value, extensionNumber: [] },
    };
  }
  return notFound("there is no such extension");
}

/** The file of a type, a service, or a method of one. */
function fileOf(symbol: string, registry: Registry): DescFile | undefined {
  const parent = symbol.slice(0, Math.max(0, symbol.lastIndexOf(".")));
  return (registry.get(symbol) ?? registry.get(parent))?.file;
}

/** A file with all that it needs: clients may ask for one name only. */
function fileAnswer(file: DescFile | undefined, files: ReadonlyMap<string, DescFile>): Answer {
  if (file === undefined) return notFound("there is no such file or symbol");
  const needed = new Map<string, DescFile>();
  addFile(needed, file);
  const protos = [...needed.keys()].map((name) => {
    const { proto } = files.get(name) ?? file;
    return toBinary(FileDescriptorProtoSchema, proto);
  });
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto: protos } };
}

function notFound(errorMessage: string): Answer {
  return { case: "errorResponse", value: { errorCode: Code.NotFound, errorMessage } };
}
