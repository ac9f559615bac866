import type { Clock, Logger, Scope } from "@weft/foundation";
import type { Mesh } from "@weft/mesh";
import type { ChassisConfig } from "./config/chassis-table.js";
import type { Readiness } from "./readiness.js";
import type { Redactor } from "./redaction/redactor.js";
import type { Routes, ServeOptions, ServerHandle } from "./serve.js";

/** Who this process is, in logs, traces and `/config`. */
export interface ProcessIdentity {
  readonly service: string;
  readonly namespace: string;
  readonly pod: string;
  readonly podIp: string | undefined;
  readonly node: string | undefined;
  readonly version: string;
}

/** What a planned stop asks of a part that has work in flight. */
export interface DrainRequest {
  /** How long the work may still take; after it, end what is left. */
  readonly timeoutMs: number;
  /** Aborts when that time is over. */
  readonly signal: AbortSignal;
}

/** All that a service's `wire` is given. Nothing here is global: two of them live in one process in tests. */
export interface Chassis<Config = unknown> {
  readonly config: Config & ChassisConfig;
  readonly identity: ProcessIdentity;
  /** Ends with the process: own resources and background tasks with it. */
  readonly scope: Scope;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly readiness: Readiness;
  readonly redactor: Redactor;
  /**
   * The mesh of this process, made at the first call; later calls give the same.
   * The process is not ready until the mesh has a config, and says why.
   */
  mesh(): Promise<Mesh>;
  /** Serves gRPC on `WEFT_BIND`:`WEFT_PORT` with health and reflection, and drains it at a planned stop. */
  serve(routes: Routes, options?: ServeOptions): Promise<ServerHandle>;
  /**
   * Aborts at once when the process is told to stop, as its readiness is withdrawn: it serves on for `WEFT_DRAIN_DELAY`, in which who
   * calls it can be sent elsewhere; then {@link onDrain}.
   */
  readonly stopping: AbortSignal;
  /**
   * Takes part in a planned stop: called after `WEFT_DRAIN_DELAY`, together with all others; the process ends when all have resolved,
   * or a moment after `timeoutMs`. For servers that are not the chassis' own.
   */
  onDrain(name: string, drain: (request: DrainRequest) => Promise<void>): void;
  /** Adds a section to the debug handler's `/config`; `describe` is called at each request and gives JSON. */
  describe(section: string, describe: () => unknown): void;
}
