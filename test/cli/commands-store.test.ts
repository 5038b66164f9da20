/** Every command on a store in a folder. */
import { describe } from "node:test";
import { commandsOn } from "./commands-suite.ts";

describe("aetherfs on a store", () => {
  commandsOn("store");
});
