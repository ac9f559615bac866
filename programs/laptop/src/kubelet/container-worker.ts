import { type Logger, sleep } from "@weft/foundation";
import type { Container, ContainerStatus } from "@weft/kube";
import { ConfigMissing } from "./config-source.js";
import type { ContainerExit, ContainerRun } from "./container-run.js";
import type { ContainerInvocation } from "./environment.js";
import type { ProbeOutcome } from "./probe.js";
import { type ProbeTarget, probeSpec } from "./probe-specs.js";
import { runProber } from "./prober.js";
import { RestartBackOff } from "./restart-back-off.js";

/** What a container needs of the Pod that it is in. */
export interface ContainerHost {
  /** Volumes brought up to date and the invocation made; throws {@link ConfigMissing}. */
  prepare(container: Container): Promise<ContainerInvocation>;
  start(container: Container, invocation: ContainerInvocation, signal: AbortSignal): Promise<ContainerRun>;
  probeTarget(container: Container, invocation: ContainerInvocation): ProbeTarget;
  /** Settles when what {@link prepare} missed may be there, or the signal aborts. */
  configChanged(signal: AbortSignal): Promise<void>;
  /** The worker's {@link ContainerWorker.status} is another now. */
  changed(): void;
  /** Something that a reader of `kubectl describe` wants to know. */
  event(type: "Normal" | "Warning", reason: string, message: string): void;
}

export type RestartPolicy = "Always" | "OnFailure" | "Never";

type State = NonNullable<ContainerStatus["state"]>;

/**
 * The life of one container:
 *
 *   waiting --config is there, back-off over--> running --exits--> terminated --policy says again--> waiting
 *      ^                                           |                                                  |
 *      |                              liveness fails: killed                                          |
 *      +----------------------------------------------------------------------------------------------+
 *
 * {@link stop} ends it in any state for good.
 */
export class ContainerWorker {
  readonly #container: Container;
  readonly #host: ContainerHost;
  readonly #policy: RestartPolicy;
  readonly #graceMs: number;
  readonly #logger: Logger;
  readonly #stop = new AbortController();
  readonly #backOff = new RestartBackOff();
  #state: State = { waiting: { reason: "ContainerCreating" } };
  #lastState: State = {};
  #ready = false;
  #started = false;
  #restarts = 0;
  #whyNotReady: string | undefined;
  #run: ContainerRun | undefined;
  #finished: Promise<ContainerExit | undefined> | undefined;

  constructor(options: {
    readonly container: Container;
    readonly host: ContainerHost;
    readonly policy: RestartPolicy;
    readonly graceMs: number;
    readonly logger: Logger;
  }) {
    this.#container = options.container;
    this.#host = options.host;
    this.#policy = options.policy;
    this.#graceMs = options.graceMs;
    this.#logger = options.logger;
  }

  get status(): ContainerStatus {
    return {
      name: this.#container.name,
      image: this.#container.image ?? "",
      imageID: "",
      ready: this.#ready,
      started: this.#started,
      restartCount: this.#restarts,
      state: this.#state,
      lastState: this.#lastState,
      ...(this.#run?.pid === undefined ? {} : { containerID: `process://${this.#run.pid}` }),
    };
  }

  /** What the last probe said against it, while it is not ready. */
  get whyNotReady(): string | undefined {
    return this.#ready ? undefined : this.#whyNotReady;
  }

  /** Runs the container until its policy lets it rest or it is stopped; gives the last exit, if it ever ran. */
  run(): Promise<ContainerExit | undefined> {
    this.#finished ??= this.#live();
    return this.#finished;
  }

  /** SIGTERM, then SIGKILL when `graceMs` is over; settles when nothing is left. May be called again with less grace. */
  async stop(graceMs: number): Promise<void> {
    this.#stop.abort();
    const run = this.#run;
    if (run !== undefined) await endRun(run, graceMs);
    await this.#finished;
  }

  async #live(): Promise<ContainerExit | undefined> {
    let last: ContainerExit | undefined;
    while (!this.#stop.signal.aborted) {
      const startedMs = performance.now();
      last = (await this.#once()) ?? last;
      if (last === undefined || this.#stop.signal.aborted) break;
      if (this.#policy === "Never" || (this.#policy === "OnFailure" && last.exitCode === 0)) break;
      const waitMs = this.#backOff.nextMs(performance.now() - startedMs);
      this.#lastState = this.#state;
      if (waitMs > 0) {
        const message = `back-off ${Math.round(waitMs / 1_000)}s restarting container "${this.#container.name}"`;
        this.#set({ waiting: { reason: "CrashLoopBackOff", message } });
        this.#host.event("Warning", "BackOff", message);
        if (!(await this.#pause(waitMs))) break;
      }
      this.#restarts += 1;
    }
    return last;
  }

  /** One run: waits for its configuration, starts it, probes it, and gives its exit. */
  async #once(): Promise<ContainerExit | undefined> {
    const invocation = await this.#configured();
    if (invocation === undefined) return undefined;
    let run: ContainerRun;
    const startedAt = timestamp();
    try {
      run = await this.#host.start(this.#container, invocation, this.#stop.signal);
    } catch (error) {
      if (this.#stop.signal.aborted) return undefined;
      const message = error instanceof Error ? error.message : String(error);
      this.#host.event("Warning", "Failed", message);
      return this.#ended({ exitCode: 128, signal: undefined, startError: message }, startedAt);
    }
    this.#run = run;
    if (this.#stop.signal.aborted) run.terminate();
    this.#started = this.#container.startupProbe === undefined;
    this.#ready = this.#started && this.#container.readinessProbe === undefined;
    this.#set({ running: { startedAt } });
    const probing = new AbortController();
    const probes = this.#probe(run, this.#host.probeTarget(this.#container, invocation), probing.signal);
    const exit = await run.exited;
    probing.abort();
    await probes;
    this.#run = undefined;
    return this.#ended(exit, startedAt);
  }

  #ended(exit: ContainerExit, startedAt: string): ContainerExit {
    this.#ready = false;
    this.#started = false;
    const reason = exit.startError === undefined ? (exit.exitCode === 0 ? "Completed" : "Error") : "StartError";
    this.#set({
      terminated: {
        exitCode: exit.exitCode,
        reason,
        startedAt,
        finishedAt: timestamp(),
        ...(exit.lastWords === undefined ? {} : { message: exit.lastWords }),
        ...(exit.signal === undefined ? {} : { message: `ended by ${exit.signal}` }),
        ...(exit.startError === undefined ? {} : { message: exit.startError }),
      },
    });
    if (!this.#stop.signal.aborted && exit.exitCode !== 0) {
      this.#logger.warn("container ended", {
        exitCode: exit.exitCode,
        signal: exit.signal,
        why: exit.startError ?? exit.lastWords,
      });
    }
    return exit;
  }

  async #configured(): Promise<ContainerInvocation | undefined> {
    let said = "";
    while (!this.#stop.signal.aborted) {
      try {
        return await this.#host.prepare(this.#container);
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        if (message !== said) {
          said = message;
          this.#set({ waiting: { reason: "CreateContainerConfigError", message } });
          this.#host.event("Warning", "Failed", message);
        }
        // What is missing may come; anything else (an API that does not answer) is tried again soon.
        if (error instanceof ConfigMissing) await this.#host.configChanged(this.#stop.signal);
        else await this.#pause(1_000);
      }
    }
    return undefined;
  }

  /** Startup first, then readiness and liveness side by side. Settles when all have ended. */
  async #probe(run: ContainerRun, target: ProbeTarget, signal: AbortSignal): Promise<void> {
    const startup = probeSpec(this.#container.startupProbe, target);
    const readiness = probeSpec(this.#container.readinessProbe, target);
    const liveness = probeSpec(this.#container.livenessProbe, target);
    if (startup !== undefined) {
      await runProber({
        spec: startup,
        eager: true,
        signal,
        onOutcome: (verdict, outcome) => {
          this.#note(outcome);
          if (verdict.t === "failing") this.#unhealthy(run, "startup", verdict.message);
          return verdict.t === "unknown";
        },
      });
    }
    if (signal.aborted) return;
    this.#started = true;
    this.#ready = readiness === undefined;
    this.#host.changed();
    const probes: Promise<void>[] = [];
    if (readiness !== undefined) {
      probes.push(
        runProber({
          spec: readiness,
          eager: true,
          signal,
          onOutcome: (verdict, outcome) => {
            this.#note(outcome);
            const ready = verdict.t === "passing";
            if (ready !== this.#ready) {
              this.#ready = ready;
              if (verdict.t === "failing")
                this.#host.event("Warning", "Unhealthy", `readiness probe failed: ${verdict.message}`);
              this.#host.changed();
            }
            return true;
          },
        }),
      );
    }
    if (liveness !== undefined) {
      probes.push(
        runProber({
          spec: liveness,
          eager: false,
          signal,
          onOutcome: (verdict) => {
            if (verdict.t !== "failing") return true;
            this.#unhealthy(run, "liveness", verdict.message);
            return false;
          },
        }),
      );
    }
    await Promise.all(probes);
  }

  #unhealthy(run: ContainerRun, probe: string, message: string): void {
    const text = `${probe} probe failed: ${message}; the container is restarted`;
    this.#logger.warn("container is unhealthy", { probe, message });
    this.#host.event("Warning", "Unhealthy", text);
    // The prober must not wait for the exit that ends it.
    void endRun(run, this.#graceMs);
  }

  #note(outcome: ProbeOutcome): void {
    const why = outcome.t === "failure" ? outcome.message : undefined;
    if (why === this.#whyNotReady) return;
    this.#whyNotReady = why;
    this.#host.changed();
  }

  #set(state: State): void {
    this.#whyNotReady = undefined;
    this.#state = state;
    this.#host.changed();
  }

  /** False when the container was stopped meanwhile. */
  async #pause(waitMs: number): Promise<boolean> {
    try {
      await sleep(waitMs, { signal: this.#stop.signal });
      return true;
    } catch {
      return false;
    }
  }
}

async function endRun(run: ContainerRun, graceMs: number): Promise<void> {
  run.terminate();
  const timer = setTimeout(() => run.kill(), graceMs);
  try {
    await run.exited;
  } finally {
    clearTimeout(timer);
  }
}

/** The time in the form that Kubernetes' statuses use. */
export function timestamp(wallMs: number = Date.now()): string {
  return new Date(wallMs).toISOString().replace(/\.\d+Z$/, "Z");
}
