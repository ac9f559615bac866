import { mkdirSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { type Duplex, Readable } from "node:stream";
import { deadlineIn, joinSignals, type Logger, sleep, systemClock } from "@weft/foundation";
import type { Container, Pod, PodStatus } from "@weft/kube";
import { type PodLogRequest, PodUnavailable } from "../pod-access.js";
import { ConfigMissing, type ConfigSource } from "./config-source.js";
import { type ContainerRun, startProcess } from "./container-run.js";
import { type ContainerHost, ContainerWorker, type RestartPolicy, timestamp } from "./container-worker.js";
import type { PodFacts } from "./downward.js";
import { type ContainerInvocation, createInvocation } from "./environment.js";
import { rewritePath } from "./expansion.js";
import { takenPort } from "./free-port.js";
import type { ImageResolver, PostgresRuntime } from "./images.js";
import { LogFile } from "./log-file.js";
import { podStatusOf } from "./pod-status.js";
import type { ProcessLedger } from "./process-ledger.js";
import { PodVolumes } from "./volumes.js";

/** The debug port: reached as a UNIX socket in the Pod's folder, never on the network. */
const debugPort = 9465;
/** How often projected files are compared with what they come from, beyond the changes that are heard. */
const volumeSyncMs = 60_000;
const logTickMs = 250;

/** What every Pod of this machine shares. */
export interface PodMachine {
  readonly nodeName: string;
  readonly nodeAddress: string;
  /** Where Pod folders are made: in shared memory, 0700. */
  readonly podsFolder: string;
  readonly logsFolder: string;
  readonly images: ImageResolver;
  readonly postgres: PostgresRuntime;
  readonly source: ConfigSource;
  readonly ledger: ProcessLedger;
  readonly logger: Logger;
  /** Environment of every container, beneath what its manifest says: KUBERNETES_SERVICE_HOST, PATH … */
  readonly baseEnv: (pod: Pod) => Readonly<Record<string, string>>;
  /** Environment that wins over the manifest: OTEL_* of the shell. */
  readonly forcedEnv: Readonly<Record<string, string>>;
}

/** What a Pod's worker tells the kubelet. */
export interface PodEvents {
  statusChanged(): void;
  event(type: "Normal" | "Warning", reason: string, message: string): void;
}

/** One Pod on this machine: its folder, volumes, containers and logs, from its start until nothing of it is left. */
export class PodWorker {
  readonly podIP: string;
  readonly #machine: PodMachine;
  readonly #events: PodEvents;
  readonly #logger: Logger;
  readonly #folder: string;
  readonly #volumes: PodVolumes;
  readonly #startTime = timestamp();
  readonly #init: readonly ContainerWorker[];
  readonly #containers: readonly ContainerWorker[];
  readonly #logs = new Map<string, LogFile>();
  readonly #stop = new AbortController();
  readonly #graceMs: number;
  #pod: Pod;
  #initialized = false;
  #background: Promise<unknown> = Promise.resolve();
  #stopped: Promise<void> | undefined;

  constructor(options: {
    readonly pod: Pod;
    readonly podIP: string;
    readonly machine: PodMachine;
    readonly events: PodEvents;
  }) {
    const { pod, machine } = options;
    const { name, namespace = "default", uid = name } = pod.metadata;
    this.podIP = options.podIP;
    this.#pod = pod;
    this.#machine = machine;
    this.#events = options.events;
    this.#logger = machine.logger.child({ pod: `${namespace}/${name}` });
    this.#folder = join(machine.podsFolder, uid);
    this.#volumes = new PodVolumes(this.#folder, machine.source);
    this.#graceMs = (pod.spec.terminationGracePeriodSeconds ?? 30) * 1_000;
    const worker = (container: Container, policy: RestartPolicy): ContainerWorker => {
      this.#logs.set(container.name, new LogFile(join(machine.logsFolder, namespace, name, `${container.name}.log`)));
      const logger = this.#logger.child({ container: container.name });
      return new ContainerWorker({ container, host: this.#host, policy, graceMs: this.#graceMs, logger });
    };
    const policy = restartPolicyOf(pod);
    this.#init = (pod.spec.initContainers ?? []).map((container) =>
      worker(container, policy === "Never" ? "Never" : "OnFailure"),
    );
    this.#containers = pod.spec.containers.map((container) => worker(container, policy));
  }

  /** Makes the Pod's folder and starts its containers in the background. */
  start(): void {
    mkdirSync(join(this.#folder, "tmp"), { recursive: true, mode: 0o700 });
    this.#background = Promise.all([this.#live(), this.#keepVolumes(), this.#tickLogs()]);
    this.#background.catch((error: unknown) => this.#logger.error("pod worker failed", { error }));
  }

  /** Takes a newer version of the object: labels, annotations and the deletion time may differ, the containers can't. */
  update(pod: Pod): void {
    this.#pod = pod;
  }

  /** The status as it is now; `previous` gives the transition times. */
  status(previous: PodStatus | undefined): PodStatus {
    return podStatusOf(
      {
        pod: this.#pod,
        podIP: this.podIP,
        nodeAddress: this.#machine.nodeAddress,
        startTime: this.#startTime,
        containers: this.#containers.map(({ status, whyNotReady }) => ({ status, whyNotReady })),
        initContainers: this.#init.map(({ status }) => status),
        initialized: this.#initialized,
      },
      previous,
    );
  }

  /** Ends every container (SIGTERM, then SIGKILL after the grace) and removes the Pod's folder; a shorter grace may follow. */
  stop(graceMs: number = this.#graceMs): Promise<void> {
    this.#stop.abort();
    const ended = Promise.all([...this.#init, ...this.#containers].map((worker) => worker.stop(graceMs)));
    this.#stopped ??= ended.then(async () => {
      await this.#background.catch(() => {
        // Logged where it started.
      });
      rmSync(this.#folder, { recursive: true, force: true });
    });
    return Promise.all([ended, this.#stopped]).then(() => undefined);
  }

  /** Removes the logs too: the Pod's object is gone. */
  forget(): void {
    for (const log of this.#logs.values()) log.remove();
    const { name, namespace = "default" } = this.#pod.metadata;
    rmSync(join(this.#machine.logsFolder, namespace, name), { recursive: true, force: true });
  }

  logs(request: PodLogRequest): Readable {
    const log = this.#logs.get(request.container);
    if (log === undefined) throw new PodUnavailable(`container "${request.container}" is not in this Pod`);
    if (!log.has(request)) {
      throw new PodUnavailable(
        `container "${request.container}" has no ${request.previous ? "previous run" : "log yet"}`,
      );
    }
    return Readable.from(log.read(request, request.signal), { objectMode: false });
  }

  connect(port: number, signal: AbortSignal): Promise<Duplex> {
    const target = port === debugPort ? { path: this.#debugSocket } : { host: this.podIP, port };
    return new Promise((resolve, reject) => {
      const socket = connect({ ...target, signal });
      socket.once("connect", () => {
        socket.off("error", refuse);
        resolve(socket);
      });
      const refuse = (error: Error): void => reject(new PodUnavailable(`port ${port}: ${error.message}`));
      socket.once("error", refuse);
    });
  }

  get #debugSocket(): string {
    return join(this.#folder, "debug.sock");
  }

  get #facts(): PodFacts {
    const { nodeName, nodeAddress } = this.#machine;
    return { pod: this.#pod, podIP: this.podIP, nodeName, nodeAddress };
  }

  readonly #host: ContainerHost = {
    prepare: async (container) => {
      await this.#volumes.sync(this.#facts);
      return createInvocation({
        container,
        facts: this.#facts,
        source: this.#machine.source,
        mounts: this.#volumes.mountsOf(container),
        base: {
          ...this.#machine.baseEnv(this.#pod),
          HOSTNAME: this.#pod.metadata.name,
          HOME: this.#folder,
          TMPDIR: join(this.#folder, "tmp"),
          WEFT_BIND: this.podIP,
          WEFT_DEBUG_SOCKET: this.#debugSocket,
        },
        forced: this.#machine.forcedEnv,
      });
    },
    start: (container, invocation, signal) => this.#startContainer(container, invocation, signal),
    probeTarget: (container, { env }) => ({
      container,
      podIP: this.podIP,
      env,
      cwd: this.#folder,
      rewrite: (argument) => rewritePath(argument, this.#volumes.mountsOf(container)),
    }),
    configChanged: (signal) => this.#machine.source.changed(signal),
    changed: () => this.#events.statusChanged(),
    event: (type, reason, message) => this.#events.event(type, reason, message),
  };

  async #startContainer(
    container: Container,
    invocation: ContainerInvocation,
    signal: AbortSignal,
  ): Promise<ContainerRun> {
    const log = this.#logs.get(container.name);
    if (log === undefined) throw new Error(`container "${container.name}" has no log`);
    const image = this.#machine.images(container.image ?? "");
    if (image.t === "unknown") throw new Error(image.message);
    // It finds a server of its own data that a killed run left on that port, and goes on with it.
    if (image.t === "postgres") return this.#machine.postgres.start({ host: this.podIP, log, signal });
    const taken = await takenPort(container, this.podIP);
    if (taken !== undefined) throw new Error(`port ${taken} is taken by a program that listens on all addresses`);
    // A socket file that a killed run left would refuse the next one its address.
    rmSync(this.#debugSocket, { force: true });
    const [file, ...args] = invocation.command ?? [image.file, ...image.args];
    if (file === undefined) throw new Error(`container "${container.name}": its command is empty`);
    const { name, namespace = "default" } = this.#pod.metadata;
    return startProcess({
      name: `${namespace}/${name}/${container.name}`,
      command: { file, args: [...args, ...invocation.args], env: invocation.env, cwd: this.#folder },
      log,
      ledger: this.#machine.ledger,
    });
  }

  async #live(): Promise<void> {
    for (const worker of this.#init) {
      const exit = await worker.run();
      if (exit?.exitCode !== 0 || this.#stop.signal.aborted) return;
    }
    this.#initialized = true;
    this.#events.statusChanged();
    await Promise.all(this.#containers.map((worker) => worker.run()));
  }

  /** Keeps projected files at what they come from, and tokens fresh. */
  async #keepVolumes(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      using wait = joinSignals({
        clock: systemClock,
        deadline: deadlineIn(volumeSyncMs, systemClock),
        signals: [signal],
      });
      await this.#machine.source.changed(wait.signal);
      if (signal.aborted) return;
      try {
        await this.#volumes.sync(this.#facts);
      } catch (error) {
        // While a container waits it says so itself; a running one keeps the files that it has.
        if (!(error instanceof ConfigMissing)) this.#logger.warn("volumes not brought up to date", { error });
      }
    }
  }

  async #tickLogs(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      for (const log of this.#logs.values()) log.tick(Date.now());
      await pause(logTickMs, this.#stop.signal);
    }
  }
}

function restartPolicyOf(pod: Pod): RestartPolicy {
  switch (pod.spec.restartPolicy) {
    case "OnFailure":
      return "OnFailure";
    case "Never":
      return "Never";
    default:
      return "Always";
  }
}

async function pause(waitMs: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(waitMs, { signal });
  } catch {
    // Aborted: the caller looks at the signal.
  }
}
