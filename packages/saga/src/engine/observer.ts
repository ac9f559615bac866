import { type Clock, type Logger, sleep, type Watch, WatchSource } from "@weft/foundation";
import type { Known, SagaCount, SagaRows } from "../rows/saga-rows.js";
import type { SagaInstruments } from "../telemetry/instruments.js";
import type { SagaAlarm } from "./sagas.js";

export interface ObserverOptions {
  readonly rows: SagaRows;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly instruments: SagaInstruments;
  readonly observeMs: number;
  readonly keepEndedMs: number;
  readonly isKnown: (version: Known) => boolean;
}

/** Counts what is open, raises alarms, removes what is old. */
export class Observer {
  readonly #options: ObserverOptions;
  readonly #alarms = new WatchSource<readonly SagaAlarm[]>([]);
  #open: readonly SagaCount[] = [];

  constructor(options: ObserverOptions) {
    this.#options = options;
    const { instruments } = options;
    instruments.open.addCallback((result) => {
      for (const { name, version, state, count } of this.#open) result.observe(count, { saga: name, version, state });
    });
    instruments.alarms.addCallback((result) => {
      for (const { t, name, version, count } of this.#alarms.value)
        result.observe(count, { alarm: t, saga: name, version });
    });
  }

  get alarms(): Watch<readonly SagaAlarm[]> {
    return this.#alarms;
  }

  async observe(signal: AbortSignal): Promise<void> {
    const { rows, clock, logger, observeMs, keepEndedMs } = this.#options;
    while (!signal.aborted) {
      try {
        this.#open = await rows.counts();
        this.#raise();
        for (let removed = 1_000; removed === 1_000 && !signal.aborted; ) removed = await rows.prune(keepEndedMs);
        await rows.forgetWorkers();
      } catch (error) {
        // What is counted is as old as the database is away; the database says so itself.
        if (!signal.aborted) logger.debug("sagas could not be counted", { error });
      }
      await sleep(observeMs, { clock, signal }).catch(() => {
        // Aborted: the loop's condition ends it.
      });
    }
  }

  #raise(): void {
    const key = (alarm: SagaAlarm): string => `${alarm.t} ${alarm.name} ${alarm.version}`;
    const known = new Map(this.#alarms.value.map((alarm) => [key(alarm), alarm.count]));
    const alarms: SagaAlarm[] = [];
    for (const { name, version, state, count } of this.#open) {
      if (state === "parked") alarms.push({ t: "parked", name, version, count });
      else if (!this.#options.isKnown({ name, version })) {
        const at = alarms.findIndex((alarm) => key(alarm) === `unknown-version ${name} ${version}`);
        const before = alarms[at];
        if (before === undefined) alarms.push({ t: "unknown-version", name, version, count });
        else alarms[at] = { ...before, count: before.count + count };
      }
    }
    for (const alarm of alarms) {
      if ((known.get(key(alarm)) ?? 0) >= alarm.count) continue;
      const { t, name, version, count } = alarm;
      this.#options.logger.error("sagas need attention", { alarm: t, name, version, count });
    }
    this.#alarms.set(alarms);
  }
}
