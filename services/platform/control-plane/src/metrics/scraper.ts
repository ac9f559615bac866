import { type Clock, type Logger, Scope, sleep, type Watch } from "@weft/foundation";
import type { Pod } from "@weft/kube";
import { type CallFigures, CallHistory } from "./call-history.js";
import type { Scrape } from "./scrape.js";
import { type Target, targetOf } from "./target.js";

/** What is known of a Pod's calls. */
export interface PodFigures extends CallFigures {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface ScraperOptions {
  readonly pods: Watch<ReadonlyMap<string, Pod>>;
  /** True once {@link pods} holds all that there are. */
  readonly synced: Watch<boolean>;
  readonly scrape: Scrape;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How many are asked at a time. Default 16. */
  readonly maxConcurrent?: number;
}

interface Visited {
  target: Target;
  readonly history: CallHistory;
  busy: boolean;
  /** Failed the last time: said once, not each time. */
  failing: boolean;
}

const periodMs = 5_000;
/** A round is spread over this many moments, so that Pods are not asked, nor answers read, all at once. */
const slots = 20;

/**
 * Asks each Pod of the mesh for its figures every 5 s, each at a moment of its own within the round.
 * One that can't be asked has no figures; it holds up no other but by its place among those asked at a time.
 */
export class Scraper implements AsyncDisposable {
  readonly #options: ScraperOptions;
  readonly #visited = new Map<string, Visited>();
  readonly #waiting: Visited[] = [];
  readonly #scope = new Scope();
  readonly #subscription: Disposable;
  #syncedMs = Number.POSITIVE_INFINITY;
  #active = 0;

  constructor(options: ScraperOptions) {
    this.#options = options;
    this.#follow(options.pods.value);
    this.#subscription = options.pods.subscribe((pods) => this.#follow(pods));
    this.#scope.spawn((signal) => this.#run(signal));
    this.#scope.spawn(async (signal) => {
      await options.synced.until((isSynced) => isSynced, signal);
      this.#syncedMs = options.clock.nowMs();
    });
  }

  /** False for the first two rounds: a Pod that was not asked twice yet is not one that has no figures. */
  get warm(): boolean {
    return this.#options.clock.nowMs() - this.#syncedMs > 2 * periodMs;
  }

  /** Ready Pods of a namespace that have figures. */
  figuresIn(namespace: string): readonly PodFigures[] {
    const nowMs = this.#options.clock.nowMs();
    const found: PodFigures[] = [];
    for (const { target, history } of this.#visited.values()) {
      if (!target.ready || target.namespace !== namespace) continue;
      const figures = history.figures(nowMs);
      if (figures !== undefined) found.push({ namespace, name: target.name, labels: target.labels, ...figures });
    }
    return found.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** For `/config`. */
  describe(): { readonly targets: number; readonly failing: readonly string[] } {
    const failing = [...this.#visited].filter(([, { failing }]) => failing).map(([key]) => key);
    return { targets: this.#visited.size, failing: failing.slice(0, 20) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#subscription[Symbol.dispose]();
    this.#waiting.length = 0;
    await this.#scope[Symbol.asyncDispose]();
  }

  #follow(pods: ReadonlyMap<string, Pod>): void {
    for (const [key, pod] of pods) {
      const target = targetOf(pod);
      const known = this.#visited.get(key);
      if (target === undefined) this.#visited.delete(key);
      else if (known !== undefined && sameProcess(known.target, target)) known.target = target;
      else this.#visited.set(key, { target, history: new CallHistory(), busy: false, failing: false });
    }
    for (const key of this.#visited.keys()) if (!pods.has(key)) this.#visited.delete(key);
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    for (let slot = 0; !signal.aborted; slot = (slot + 1) % slots) {
      for (const visited of this.#visited.values()) {
        // One that has not been asked since its last turn waits in line, or hangs: once is enough.
        if (visited.busy || slotOf(visited.target) !== slot) continue;
        visited.busy = true;
        this.#waiting.push(visited);
      }
      this.#askNext();
      await sleep(periodMs / slots, { clock, signal });
    }
  }

  #askNext(): void {
    const { maxConcurrent = 16 } = this.#options;
    while (this.#active < maxConcurrent && !this.#scope.signal.aborted) {
      const visited = this.#waiting.shift();
      if (visited === undefined) return;
      this.#active += 1;
      this.#scope.spawn(async (signal) => {
        await this.#ask(visited, signal);
        visited.busy = false;
        this.#active -= 1;
        this.#askNext();
      });
    }
  }

  async #ask(visited: Visited, signal: AbortSignal): Promise<void> {
    const { scrape, clock, logger } = this.#options;
    const pod = `${visited.target.namespace}/${visited.target.name}`;
    try {
      const counts = await scrape(visited.target, signal);
      visited.history.add(counts, { nowMs: clock.nowMs(), wallMs: clock.wallMs() });
      if (visited.failing) logger.info("figures of a pod are read again", { pod });
      visited.failing = false;
    } catch (error) {
      // A Pod that comes or goes does not answer, and that is no news.
      if (signal.aborted || visited.failing || !visited.target.ready) return;
      visited.failing = true;
      logger.warn("figures of a pod can't be read", { pod, error });
    }
  }
}

function sameProcess(a: Target, b: Target): boolean {
  return a.uid === b.uid && a.host === b.host && a.port === b.port;
}

/** A Pod's moment within a round: spread evenly, and the same each time. */
function slotOf({ namespace, name, uid }: Target): number {
  let hash = 2_166_136_261;
  for (const char of `${namespace}/${name}/${uid}`) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 16_777_619);
  return (hash >>> 0) % slots;
}
