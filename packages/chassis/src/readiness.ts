import { type Watch, WatchSource } from "@weft/foundation";

/** One reason why the process is not ready. */
export interface NotReady {
  readonly name: string;
  readonly reason: string;
}

/** One part's say in readiness; not ready until it says so. */
export interface ReadinessGate {
  ready(): void;
  notReady(reason: string): void;
  /** Has no say any more. */
  remove(): void;
}

/** Whether the process should be given work: only when every gate is open. */
export interface Readiness {
  /** Why not, one entry a gate that is closed; empty means ready. */
  readonly state: Watch<readonly NotReady[]>;
  /** Adds a gate, closed with `reason` until it opens. Two gates of one name are a mistake and throw. */
  add(name: string, reason?: string): ReadinessGate;
  /** Adds a gate that follows a watch: `reason` gives why not, or `undefined` for ready. Ends when disposed. */
  follow<T>(name: string, watch: Watch<T>, reason: (value: T) => string | undefined): Disposable;
}

/** Makes a readiness without gates: ready. */
export function createReadiness(): Readiness {
  const reasons = new Map<string, string | undefined>();
  const state = new WatchSource<readonly NotReady[]>([]);
  const publish = (): void => {
    const closed: NotReady[] = [];
    for (const [name, reason] of reasons) if (reason !== undefined) closed.push({ name, reason });
    const same =
      closed.length === state.value.length &&
      closed.every((entry, index) => {
        const before = state.value[index];
        return before?.name === entry.name && before.reason === entry.reason;
      });
    if (!same) state.set(closed);
  };
  const add = (name: string, reason = "starting"): ReadinessGate => {
    if (reasons.has(name)) throw new Error(`readiness: ${JSON.stringify(name)} is there already`);
    const put = (value: string | undefined): void => {
      if (!reasons.has(name)) return;
      reasons.set(name, value);
      publish();
    };
    reasons.set(name, reason);
    publish();
    return {
      ready: () => put(undefined),
      notReady: (why) => put(why),
      remove() {
        reasons.delete(name);
        publish();
      },
    };
  };
  return {
    state,
    add,
    follow(name, watch, reason) {
      const gate = add(name);
      const tell = (value: typeof watch.value): void => {
        const why = reason(value);
        if (why === undefined) gate.ready();
        else gate.notReady(why);
      };
      const subscription = watch.subscribe(tell);
      tell(watch.value);
      return {
        [Symbol.dispose]() {
          subscription[Symbol.dispose]();
          gate.remove();
        },
      };
    },
  };
}
