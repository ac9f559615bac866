import { type Clock, createBackoff, type Logger, Scope, silentLogger, sleep, systemClock } from "@weft/foundation";
import pg from "pg";

/** Wake-ups from other transactions, other replicas' too, by Postgres' LISTEN. A hint to look again, never the news itself. */
export interface Notifications extends AsyncDisposable {
  /**
   * Calls `wake` whenever `payload` is notified on the channel, and whenever some may have been missed: after the connection was made anew.
   * Dispose to stop.
   */
  subscribe(payload: string, wake: () => void): Disposable;
}

/** Listens on one channel over a connection of its own, for as long as it lives; a lost connection is made anew with back-off. */
export function createNotifications(options: {
  readonly url: string;
  /** Lower-case letters and underscores. */
  readonly channel: string;
  readonly logger?: Logger;
  readonly clock?: Clock;
  readonly random?: () => number;
}): Notifications {
  const { url, channel, logger = silentLogger, clock = systemClock, random = Math.random } = options;
  if (!/^[a-z_]{1,60}$/.test(channel))
    throw new TypeError(`channel ${JSON.stringify(channel)}: lower-case letters and _ only`);
  const scope = new Scope();
  const subscribers = new Map<string, Set<() => void>>();
  const wakeAll = (): void => {
    for (const wakes of subscribers.values()) for (const wake of [...wakes]) wake();
  };

  /** One connection from its making to its loss. */
  const listen = async (signal: AbortSignal, onListening: () => void): Promise<never> => {
    const client = new pg.Client({
      connectionString: url,
      connectionTimeoutMillis: 3_000,
      keepAlive: true,
      application_name: "weft-listen",
    });
    const lost = new Promise<never>((_, reject) => {
      client.once("end", () => reject(new Error("connection ended")));
      client.on("error", reject);
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
    lost.catch(() => {
      // Awaited below, unless the connection failed sooner.
    });
    client.on("notification", (message) => {
      for (const wake of [...(subscribers.get(message.payload ?? "") ?? [])]) wake();
    });
    try {
      await Promise.race([client.connect(), lost]);
      await Promise.race([client.query(`LISTEN ${channel}`), lost]);
      onListening();
      return await lost;
    } finally {
      client.end().catch(() => {
        // It is going away either way.
      });
    }
  };

  scope.spawn(async (signal) => {
    const backoff = createBackoff({ initialMs: 100, maxMs: 5_000, multiplier: 1.6, jitter: 0.2 }, random);
    while (!signal.aborted) {
      try {
        await listen(signal, () => {
          backoff.reset();
          wakeAll();
        });
      } catch (error) {
        if (signal.aborted) return;
        logger.warn("notifications lost: connecting again", {
          channel,
          reason: error instanceof Error ? error.message : String(error),
        });
      }
      await sleep(backoff.nextMs(), { clock, signal });
    }
  });

  return {
    subscribe(payload, wake) {
      const wakes = subscribers.get(payload) ?? new Set();
      subscribers.set(payload, wakes);
      // Wrapped, so that one function subscribed twice counts twice.
      const entry = (): void => wake();
      wakes.add(entry);
      return {
        [Symbol.dispose]() {
          wakes.delete(entry);
          if (wakes.size === 0 && subscribers.get(payload) === wakes) subscribers.delete(payload);
        },
      };
    },
    [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose](),
  };
}
