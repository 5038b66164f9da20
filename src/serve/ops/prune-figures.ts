/** What a hub's prunes came to, for Prometheus. */
import type { PruneFigures } from "../../dataset/prune/pruner.ts";
import type { Meter } from "./meter.ts";

/** Shows a pruner's figures; those of the last prune are NaN before there was one. */
export function showPrunes(meter: Meter, figures: () => PruneFigures): void {
  const last = (read: (last: NonNullable<PruneFigures["last"]>) => number) => (): number => {
    const found = figures().last;
    return found === undefined ? NaN : read(found);
  };
  const gauge = (name: string, help: string, read: () => number): void => {
    meter.gauge(`aetherfs_prune_${name}`, help, read);
  };
  const counter = (name: string, help: string, read: (found: PruneFigures) => number): void => {
    meter.counter(`aetherfs_prune_${name}_total`, help, () => read(figures()));
  };
  counter("runs", "Prunes that ended, failed ones too.", ({ runs }) => runs);
  counter("failures", "Prunes that failed.", ({ failures }) => failures);
  counter("removed_objects", "Objects that prunes removed.", ({ removedObjects }) => removedObjects);
  counter("removed_bytes", "Bytes of blocks that prunes removed.", ({ removedBytes }) => removedBytes);
  counter("repacked_bytes", "Bytes of blocks that were repacked.", ({ repackedBytes }) => repackedBytes);
  gauge("under_way", "Whether a prune is under way.", () => (figures().isUnderWay ? 1 : 0));
  gauge(
    "last_success_timestamp_seconds",
    "When the last prune that succeeded ended.",
    last(({ endedMs }) => endedMs / 1000),
  );
  gauge(
    "last_duration_seconds",
    "How long it took.",
    last(({ result }) => result.seconds),
  );
  gauge(
    "condemned_objects",
    "Objects that it condemned.",
    last(({ result: { condemned } }) => condemned.blocks + condemned.others),
  );
  gauge(
    "condemned_bytes",
    "Bytes of blocks that it condemned.",
    last(({ result }) => result.condemned.blockBytes),
  );
  gauge(
    "kept_bytes",
    "Bytes of blocks that it kept.",
    last(({ result }) => result.kept.blockBytes),
  );
  gauge(
    "unused_bytes",
    "Bytes of those that nothing needs.",
    last(({ result }) => result.unusedBytes),
  );
  gauge(
    "held_up_by",
    "Pushes that kept it from removing what is condemned.",
    last(({ result }) => result.holders.length),
  );
}
