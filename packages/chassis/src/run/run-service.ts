import { type Clock, type Logger, Scope, sleep, systemClock } from "@weft/foundation";
import { currentCallScope } from "@weft/mesh";
import { openAdminPort } from "../admin/admin-port.js";
import { openDebugHandler, type StopTimes } from "../admin/debug-handler.js";
import type { Chassis, ProcessIdentity } from "../chassis.js";
import type { ChassisConfig } from "../config/chassis-table.js";
import { fromProcess, type ProcessHost } from "../host.js";
import { createLogger } from "../logger.js";
import { createReadiness, type Readiness } from "../readiness.js";
import { createRedactor, type Redactor } from "../redaction/redactor.js";
import { startTelemetry, type Telemetry } from "../telemetry/telemetry.js";
import { type CreateMesh, createChassis, meshFromConfig } from "./create-chassis.js";
import { type DrainPart, drainAll } from "./drain.js";
import { listenForEnd } from "./process-end.js";

/** Connects the parts of a service; when it resolves, the service is started. */
export type Wire<Config> = (chassis: Chassis<Config>) => Promise<void> | void;

export interface RunOptions {
  /** The process; tests give their own. */
  readonly host?: ProcessHost;
  readonly clock?: Clock;
  /** False in the process that receives traces. Default true. */
  readonly tracing?: boolean;
  /** How a mesh is made; tests give their own. */
  readonly createMesh?: CreateMesh;
  /** Told once the ports are bound, before `wire` runs. */
  readonly onBound?: (ports: { readonly admin: number; readonly debug: number }) => void;
}

/** How long disposing everything may take after the drain. */
const disposeMs = 5_000;

/**
 * Runs a service from start to end, then ends the process. For `main.ts` alone.
 *
 *   starting --wire resolved--> serving --SIGTERM, SIGINT, POST /stop--> draining --all drained, or time is up--> exit 0
 *       └──────────────────────────┴── a background task or wire fails, uncaught error ──> exit 1
 *   any --second signal--> exit 128 + signal number, at once
 */
export async function runService<Config extends ChassisConfig>(
  config: Config,
  wire: Wire<Config>,
  options: RunOptions = {},
): Promise<void> {
  const host = options.host ?? fromProcess(process);
  const clock = options.clock ?? systemClock;
  const identity = identityOf(config);
  const redactor = createRedactor();
  const logger = createLogger({
    level: config.LOG_LEVEL,
    write: (line) => host.writeOut(line),
    redactor,
    fields: { service: identity.service, namespace: identity.namespace, pod: identity.pod },
  });
  const scope = new Scope();
  const end = listenForEnd(host, logger);
  const run = new Running({ config, wire, options, clock, identity, redactor, logger, scope });
  let code = 0;
  try {
    const failed = Promise.race([end.failed, scope.failed]);
    // Awaited in the races below; one that ends before a failure leaves none unhandled.
    failed.catch(() => {});
    const started = run.start((times) => end.stop(times));
    await Promise.race([started, end.stopRequested, failed]);
    const asked = await Promise.race([end.stopRequested, failed]);
    logger.info("stopping", { because: asked.because });
    await Promise.race([run.drain(asked.times), failed]);
  } catch (error) {
    logger.error("the service failed", { error });
    code = 1;
  }
  await run.disposeWithin(disposeMs);
  logger.info("stopped", { code });
  end[Symbol.dispose]();
  host.exit(code);
}

interface Parts<Config extends ChassisConfig> {
  readonly config: Config;
  readonly wire: Wire<Config>;
  readonly options: RunOptions;
  readonly clock: Clock;
  readonly identity: ProcessIdentity;
  readonly redactor: Redactor;
  readonly logger: Logger;
  readonly scope: Scope;
}

/** The state of one run: what was started, to be drained and disposed. */
class Running<Config extends ChassisConfig> {
  readonly #parts: Parts<Config>;
  readonly #readiness: Readiness = createReadiness();
  readonly #stopping = new AbortController();
  readonly #drains: DrainPart[] = [];
  readonly #sections = new Map<string, () => unknown>();

  constructor(parts: Parts<Config>) {
    this.#parts = parts;
  }

  async start(stop: (times: Partial<StopTimes>) => void): Promise<void> {
    const { config, clock, identity, logger, options, redactor, scope } = this.#parts;
    const startedMs = clock.nowMs();
    const startup = this.#readiness.add("startup");
    const { tracing = true } = options;
    const telemetry = scope.use(startTelemetry({ config, identity, redactor, logger, clock, tracing }));
    await this.#openPorts(telemetry, stop);
    await this.#parts.wire(
      createChassis({
        config,
        identity,
        scope,
        logger,
        clock,
        readiness: this.#readiness,
        stopping: this.#stopping.signal,
        redactor,
        createMesh: options.createMesh ?? meshFromConfig,
        currentUser: () => currentCallScope()?.user,
        addDrain: (part) => this.#drains.push(part),
        addSection: (name, describe) => this.#sections.set(name, describe),
      }),
    );
    startup.ready();
    logger.info("started", { startMs: Math.round(clock.nowMs() - startedMs) });
  }

  async #openPorts(telemetry: Telemetry, stop: (times: Partial<StopTimes>) => void): Promise<void> {
    const { config, options, scope } = this.#parts;
    const readiness = this.#readiness;
    const admin = scope.use(
      await openAdminPort({
        host: config.WEFT_BIND,
        port: config.WEFT_ADMIN_PORT,
        readiness,
        metricsText: () => telemetry.metricsText(),
      }),
    );
    const path = config.WEFT_DEBUG_SOCKET;
    const debug = scope.use(
      await openDebugHandler({
        address:
          path === undefined ? { t: "tcp", host: "127.0.0.1", port: config.WEFT_DEBUG_PORT } : { t: "socket", path },
        describe: () => this.#describe(),
        isReady: () => readiness.state.value.length === 0,
        stop,
      }),
    );
    this.#parts.logger.info("admin and debug ports are open", { admin: admin.port, debug: path ?? debug.port });
    options.onBound?.({ admin: admin.port, debug: debug.port });
  }

  #describe(): unknown {
    const { config, identity } = this.#parts;
    const sections: Record<string, unknown> = {};
    for (const [name, describe] of this.#sections) sections[name] = describe();
    return {
      process: {
        name: identity.service,
        namespace: identity.namespace,
        pod: identity.pod,
        version: identity.version,
        pid: process.pid,
        uptimeMs: Math.round(process.uptime() * 1_000),
      },
      notReady: this.#readiness.state.value,
      config: this.#parts.redactor.value(config),
      ...sections,
    };
  }

  /** Withdraws readiness at once, then drains. */
  async drain(times: Partial<StopTimes>): Promise<void> {
    const { clock, config, logger, scope } = this.#parts;
    this.#readiness.add("drain", "stopping");
    this.#stopping.abort();
    await drainAll(this.#drains, {
      times: { delayMs: config.WEFT_DRAIN_DELAY, timeoutMs: config.WEFT_DRAIN_TIMEOUT, ...times },
      clock,
      logger,
      signal: scope.signal,
    });
  }

  async disposeWithin(limitMs: number): Promise<void> {
    const { clock, logger, scope } = this.#parts;
    const enough = new AbortController();
    const limit = sleep(limitMs, { clock, signal: enough.signal }).then(
      () => logger.warn("disposing took too long: ending without"),
      () => {
        // Called off: everything was disposed in time.
      },
    );
    const disposed = scope[Symbol.asyncDispose]().catch((error: unknown) =>
      logger.error("something did not dispose", { error }),
    );
    await Promise.race([disposed, limit]);
    enough.abort();
  }
}

function identityOf(config: ChassisConfig): ProcessIdentity {
  return {
    service: config.OTEL_SERVICE_NAME,
    namespace: config.POD_NAMESPACE,
    pod: config.POD_NAME,
    podIp: config.POD_IP,
    node: config.NODE_NAME,
    version: config.WEFT_VERSION,
  };
}
