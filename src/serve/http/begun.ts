/**
 * The same items, the first of them at hand already: what fails at once is an error's status, not half an answer. Errors: those of
 * the first item.
 */
export async function begun<T>(items: AsyncIterable<T>): Promise<AsyncIterable<T>> {
  const iterator = items[Symbol.asyncIterator]();
  let first: Promise<IteratorResult<T>> | undefined = Promise.resolve(await iterator.next());
  const next = (): Promise<IteratorResult<T>> => {
    const item = first ?? iterator.next();
    first = undefined;
    return item;
  };
  const end = async (): Promise<IteratorResult<T>> =>
    (await iterator.return?.()) ?? { done: true, value: undefined };
  return { [Symbol.asyncIterator]: () => ({ next, return: end }) };
}
