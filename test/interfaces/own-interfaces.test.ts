/** The awkward dataset through what is AetherFS's own: the command line, a mount, the SDK, gRPC and REST. */
import { describe } from "node:test";
import { awkwardHub } from "./awkward-hub.ts";
import { cliDoor, mountDoor, pythonDoor, sdkDoor } from "./doors.ts";
import { interfaceSuite } from "./interface-suite.ts";

const { expected, at } = awkwardHub();

const LINKS = { directories: "all", symlinks: "links" } as const;

describe("AetherFS's own interfaces", () => {
  interfaceSuite("aetherfs pull", LINKS, expected, at(cliDoor));
  interfaceSuite("aetherfs mount, met by cp,", LINKS, expected, at(mountDoor));
  interfaceSuite("the SDK", LINKS, expected, at(sdkDoor));
  interfaceSuite(
    "gRPC, met by grpcio,",
    LINKS,
    expected,
    at((place) => pythonDoor(place, "grpc")),
  );
  interfaceSuite(
    "REST, met by urllib,",
    LINKS,
    expected,
    at((place) => pythonDoor(place, "rest")),
  );
});
