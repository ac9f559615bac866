/** What a steady run of calls saw. */
export interface SteadyResult {
  readonly sent: number;
  /** Each failed call: when, and with what. */
  readonly failures: readonly { readonly atMs: number; readonly error: string }[];
}

/** Calls at a fixed rate whatever the answers take (an open loop), until stopped. */
export function steadyCalls(
  call: (index: number) => Promise<unknown>,
  perSecond: number,
): { stop(): Promise<SteadyResult> } {
  const failures: { atMs: number; error: string }[] = [];
  const pending = new Set<Promise<void>>();
  const startedMs = performance.now();
  let sent = 0;
  const send = (): void => {
    const index = sent++;
    const atMs = performance.now() - startedMs;
    const running = call(index).then(
      () => {},
      (error: unknown) => void failures.push({ atMs, error: String(error) }),
    );
    pending.add(running);
    void running.finally(() => pending.delete(running));
  };
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - startedMs) / 1_000) * perSecond);
    while (sent < due) send();
  }, 5);
  return {
    async stop() {
      clearInterval(timer);
      await Promise.all(pending);
      return { sent, failures };
    },
  };
}
