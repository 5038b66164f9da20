/** Every command on a hub. */
import { describe } from "node:test";
import { commandsOn } from "./commands-suite.ts";

describe("aetherfs on a hub", () => {
  commandsOn("hub");
});
