interface Pending<T, R> {
  readonly item: T;
  readonly resolve: (result: R) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Group commit: what comes while earlier batches are under way goes into the next one together. An item that comes alone is sent at once.
 * `flush` gives one result for each item, in order; when it rejects, so does each item.
 */
export function createBatcher<T, R>(
  flush: (items: readonly T[]) => Promise<readonly R[]>,
  options: { readonly atOnce: number; readonly mostItems: number },
): (item: T) => Promise<R> {
  const waiting: Pending<T, R>[] = [];
  let underWay = 0;
  const send = async (): Promise<void> => {
    underWay += 1;
    const batch = waiting.splice(0, options.mostItems);
    try {
      const results = await flush(batch.map(({ item }) => item));
      for (const [index, { resolve, reject }] of batch.entries()) {
        const result = results[index];
        if (result === undefined) reject(new Error("batch: an item got no result"));
        else resolve(result);
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
    } finally {
      underWay -= 1;
      if (waiting.length > 0) void send();
    }
  };
  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject });
      if (underWay < options.atOnce) void send();
    });
}
