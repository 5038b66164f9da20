/** What is kept of content that was decoded for readers. */
import { GiB, KiB, MiB, PIECE_BYTES_DEFAULT } from "../base/limits.ts";
import { single } from "./setting.ts";
import { parseSize } from "./values.ts";

const commands = ["run", "mount"];
const PIECE_BYTES_MIN = 16 * KiB;

function parsePiece(text: string): number {
  const bytes = parseSize(text);
  if (bytes >= PIECE_BYTES_MIN && bytes <= MiB) return bytes;
  throw new Error("it is not from 16KiB to 1MiB");
}

/** Settings of the cache of decoded content, besides --memory_limit and --cache_dir. */
export const CACHE_SETTINGS = {
  cacheSize: single(
    {
      flag: "cache_size",
      placeholder: "SIZE",
      commands,
      fallback: "1GiB",
      help: "decoded content that is kept in --cache_dir, for all processes that share it; 0: none",
    },
    parseSize,
    () => GiB,
  ),
  cachePieceSize: single(
    {
      flag: "cache_piece_size",
      placeholder: "SIZE",
      commands,
      fallback: "512KiB",
      help: "content that is decoded and kept together, 16KiB to 1MiB: little for readers who leap, much for those who read on",
    },
    parsePiece,
    () => PIECE_BYTES_DEFAULT,
  ),
} as const;
