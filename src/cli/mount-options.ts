/** Options as mount(8) and /etc/fstab write them. */
import { AetherError } from "../base/errors.ts";
import { SETTING_LIST, type SettingName } from "../config/schema.ts";

/** What mount(8) and systemd do themselves, or what a mount that never changes is anyway: it asks nothing of this command. */
const LEFT_ALONE: ReadonlySet<string> = new Set(
  "defaults ro rw auto noauto user users nouser owner group _netdev nofail nosuid nodev atime noatime diratime nodiratime relatime norelatime strictatime nostrictatime lazytime nolazytime sync async dirsync iversion noiversion mand nomand silent loud exec suid dev".split(
    " ",
  ),
);
/** Words for other programs, with or without a value. */
const FOR_OTHERS = /^(?:x-|X-|comment$)/;

/**
 * The options of `-o`, as what they set of this command, `-` or `_` between their words. Errors: ARGUMENT_INVALID for what neither this
 * command nor mount(8) knows: what is asked for and left out would be missed later.
 */
export function mountOptions(lists: readonly string[]): ReadonlyMap<SettingName, readonly string[]> {
  const found = new Map<SettingName, readonly string[]>();
  for (const option of lists.flatMap((list) => list.split(",")).filter((text) => text !== "")) {
    const [name = "", ...value] = option.split("=");
    const setting = SETTING_LIST.find(
      ([, { flag, commands }]) =>
        flag.replaceAll("-", "_") === name.replaceAll("-", "_") && commands?.includes("mount") !== false,
    );
    if (setting !== undefined) found.set(setting[0], [value.length === 0 ? "true" : value.join("=")]);
    else if (!LEFT_ALONE.has(name) && !FOR_OTHERS.test(name)) {
      throw new AetherError(
        "ARGUMENT_INVALID",
        `there is no mount option ${name}: aetherfs mount --help has those that -o takes`,
      );
    }
  }
  return found;
}
