/** Results on stdout. */
import type { Writable } from "node:stream";
import { AetherError, errnoOf } from "../base/errors.ts";

/** The reader of stdout has gone away (`… | head -1`): the command ends, and that is no error. */
export class OutputClosed extends Error {}

/** A column of a table: its head, and whether its cells are aligned to the right. */
export interface Column {
  readonly head: string;
  readonly isRight?: boolean;
}

/** Rows that are laid out together: a long list is not held in memory for its alignment. */
const ROWS_MAX = 1000;

/** Writes results in the chosen form, waiting for whoever reads. Errors: OutputClosed; SPACE_EXHAUSTED, INTERNAL. */
export class Output {
  readonly isJson: boolean;
  readonly #stream: Writable;

  constructor(stream: Writable, form: "text" | "json") {
    this.isJson = form === "json";
    this.#stream = stream;
  }

  /** Writes bytes or text as they are. */
  async write(data: Uint8Array | string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#stream.write(data, (error) => {
        if (error === null || error === undefined) resolve();
        else reject(outputError(error));
      });
    });
  }

  /** Writes lines of text. */
  async lines(...lines: readonly string[]): Promise<void> {
    await this.write(lines.map((line) => `${line}\n`).join(""));
  }

  /** Writes one result as a line of JSON. */
  async json(value: unknown): Promise<void> {
    await this.lines(JSON.stringify(value));
  }

  /** Writes a list as a JSON array, one element a line, without holding it. */
  async jsonList(items: AsyncIterable<unknown>): Promise<void> {
    let separator = "[\n";
    for await (const item of items) {
      await this.write(`${separator}${JSON.stringify(item)}`);
      separator = ",\n";
    }
    await this.write(separator === "[\n" ? "[]\n" : "\n]\n");
  }

  /** Writes a table; its head comes only with a row, and `empty` when there is none. */
  async table(
    columns: readonly Column[],
    rows: AsyncIterable<readonly string[]>,
    empty: string,
  ): Promise<void> {
    let block: (readonly string[])[] = [columns.map(({ head }) => head)];
    let count = 0;
    for await (const row of rows) {
      block.push(row);
      count += 1;
      if (block.length < ROWS_MAX) continue;
      await this.lines(...aligned(columns, block));
      block = [];
    }
    await this.lines(...(count === 0 ? [empty] : aligned(columns, block)));
  }
}

/** The rows as lines, columns two blanks apart. */
export function aligned(columns: readonly Column[], rows: readonly (readonly string[])[]): readonly string[] {
  const widths = columns.map((_, index) => Math.max(...rows.map((row) => row[index]?.length ?? 0)));
  return rows.map((row) =>
    columns
      .map(({ isRight }, index) => {
        const cell = row[index] ?? "";
        const width = widths[index] ?? 0;
        return isRight === true ? cell.padStart(width) : cell.padEnd(width);
      })
      .join("  ")
      .trimEnd(),
  );
}

function outputError(error: Error): Error {
  const errno = errnoOf(error);
  if (errno === "EPIPE" || errno === "ERR_STREAM_DESTROYED") return new OutputClosed();
  if (errno === "ENOSPC") {
    return new AetherError("SPACE_EXHAUSTED", "the disk that stdout goes to is full", { cause: error });
  }
  return error;
}
