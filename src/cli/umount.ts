import { endMount, mountFolder } from "../daemon/mount.ts";
import type { Context } from "./context.ts";

/** `aetherfs umount DIR`. */
export async function run({ config, output }: Context, place: string): Promise<void> {
  const folder = mountFolder(place);
  await endMount(folder, config.lazy);
  if (output.isJson) await output.json({ folder });
  else await output.lines(`unmounted  ${folder}`);
}
