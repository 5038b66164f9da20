/**
 * `map` of each item, in order, with up to `ahead` of them under way at a time. When one fails, or the reader stops,
 * those under way are awaited and their results dropped.
 */
export async function* mapAhead<T, R>(
  source: AsyncIterable<T>,
  ahead: number,
  map: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const pending: Promise<R>[] = [];
  try {
    for await (const item of source) {
      const result = map(item);
      // Seen again when its turn comes; until then a failure is no unhandled one.
      result.catch(() => undefined);
      pending.push(result);
      if (pending.length < ahead) continue;
      const first = pending.shift();
      if (first !== undefined) yield await first;
    }
    for (let first = pending.shift(); first !== undefined; first = pending.shift()) yield await first;
  } finally {
    await Promise.allSettled(pending);
  }
}
