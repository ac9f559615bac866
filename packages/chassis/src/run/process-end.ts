import { constants } from "node:os";
import type { Logger } from "@weft/foundation";
import type { StopTimes } from "../admin/debug-handler.js";
import type { ProcessHost } from "../host.js";

/** A planned stop: who asked for it, and the times that differ from the configured ones. */
export interface StopRequest {
  readonly because: string;
  readonly times: Partial<StopTimes>;
}

/** What ends a process from outside the code's own flow. Dispose: stops listening. */
export interface ProcessEnd extends Disposable {
  /** Resolves at the first signal, or when asked to by {@link ProcessEnd.stop}. */
  readonly stopRequested: Promise<StopRequest>;
  /** Rejects at an error that nobody caught. */
  readonly failed: Promise<never>;
  stop(times: Partial<StopTimes>): void;
}

/** Listens for signals and uncaught errors. A second signal ends the process at once. */
export function listenForEnd(host: ProcessHost, logger: Logger): ProcessEnd {
  let request: (stop: StopRequest) => void = () => {};
  let fail: (error: unknown) => void = () => {};
  let stopping = false;
  const stopRequested = new Promise<StopRequest>((resolve) => {
    request = resolve;
  });
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failed.catch(() => {
    // Whoever runs the service awaits it; nobody else is bothered.
  });
  const begin = (because: string, times: Partial<StopTimes>): void => {
    stopping = true;
    request({ because, times });
  };
  const signals = (["SIGTERM", "SIGINT"] as const).map((name) =>
    host.on(name, () => {
      if (!stopping) return begin(name, {});
      logger.warn("told to stop again: ending at once", { because: name });
      host.exit(128 + constants.signals[name]);
    }),
  );
  const errors = (["uncaughtException", "unhandledRejection"] as const).map((name) => host.on(name, fail));
  return {
    stopRequested,
    failed,
    stop: (times) => begin("stop request", times),
    [Symbol.dispose]() {
      for (const off of [...signals, ...errors]) off();
    },
  };
}
