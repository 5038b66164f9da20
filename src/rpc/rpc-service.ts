/** What a service of gRPC is, for whoever serves it: by gRPC itself, or as REST. */
import type { DescService } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";

/** A service and its methods. Methods throw errors of the table; those that are not there answer "unimplemented". */
export interface RpcService<S extends DescService = DescService> {
  readonly service: S;
  readonly impl: Partial<ServiceImpl<S>>;
}

/** A service with its methods, which are held to its definition. */
export function rpcService<S extends DescService>(service: S, impl: Partial<ServiceImpl<S>>): RpcService {
  return { service, impl };
}
