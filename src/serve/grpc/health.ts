/** The standard health service: for load balancers and orchestrators. */
import { Code, ConnectError } from "@connectrpc/connect";
import { Health, HealthCheckResponse_ServingStatus as Status } from "../../gen/grpc/health/v1/health_pb.ts";
import { rpcService, type RpcService } from "../../rpc/rpc-service.ts";

/** Health of the services: they serve until `stopping` aborts, then they do not. Watchers hear of it. */
export function healthService(services: readonly RpcService[], stopping: AbortSignal): RpcService {
  const names = new Set(["", ...services.map(({ service }) => service.typeName)]);
  const statusOf = (name: string): { readonly status: Status } => {
    if (!names.has(name)) return { status: Status.SERVICE_UNKNOWN };
    return { status: stopping.aborted ? Status.NOT_SERVING : Status.SERVING };
  };
  return rpcService(Health, {
    check: ({ service }) => {
      if (names.has(service)) return statusOf(service);
      throw new ConnectError("there is no such service", Code.NotFound);
    },
    async *watch({ service }, { signal }) {
      yield statusOf(service);
      if (stopping.aborted) return;
      await firstAbort(stopping, signal);
      yield statusOf(service);
    },
  });
}

function firstAbort(...signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    const ended = AbortSignal.any([...signals]);
    if (ended.aborted) resolve();
    ended.addEventListener("abort", () => {
      resolve();
    });
  });
}
