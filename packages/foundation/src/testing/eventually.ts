/**
 * Awaits a condition: calls `probe` until it returns a value other than `undefined` and `false`, or throws nothing any more.
 * Fails with the last error (or a plain one) when `ceilingMs` is over. The ceiling is a safety net, not a judgement of speed.
 */
export async function eventually<T>(
  probe: () => Promise<T | undefined | false> | T | undefined | false,
  options: { readonly ceilingMs: number; readonly everyMs?: number; readonly what?: string },
): Promise<T> {
  const endMs = performance.now() + options.ceilingMs;
  let last: unknown;
  for (;;) {
    try {
      const value = await probe();
      if (value !== undefined && value !== false) return value;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (performance.now() >= endMs) {
      const what = options.what ?? "the condition";
      throw new Error(`${what} did not come true within ${options.ceilingMs} ms`, { cause: last });
    }
    await new Promise((resolve) => setTimeout(resolve, options.everyMs ?? 20));
  }
}
