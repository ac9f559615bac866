import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Parsed } from "@weft/foundation";
import type { ChassisConfig } from "../config/chassis-table.js";
import type { ConfigError, Environment } from "../config/table.js";
import { type RunOptions, runService, type Wire } from "../run/run-service.js";
import { createFakeHost } from "./fake-host.js";

/** A service that runs in the test's own process. Dispose: stops it as SIGTERM would, and waits. */
export interface RunningService extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` of /livez, /readyz and /metrics. */
  readonly adminUrl: string;
  /** `http://127.0.0.1:PORT` of /config. */
  readonly debugUrl: string;
  /** Its log so far, line by line. */
  readonly lines: readonly string[];
  readonly exited: Promise<number>;
  /** Sends a signal. */
  signal(name: "SIGTERM" | "SIGINT"): void;
}

export interface StartOptions<Config extends ChassisConfig> extends Omit<RunOptions, "host" | "onBound"> {
  /** The service's definition, or any parser of an environment. */
  readonly config: { parse(env: Environment): Parsed<Config, ConfigError> };
  readonly wire: Wire<Config>;
  /** On top of an environment that binds free loopback ports, drains at once and has no telemetry. */
  readonly env?: Environment;
}

const testEnvironment: Environment = {
  WEFT_BIND: "127.0.0.1",
  WEFT_PORT: "0",
  WEFT_ADMIN_PORT: "0",
  WEFT_DEBUG_PORT: "0",
  WEFT_DRAIN_DELAY: "0s",
  WEFT_DRAIN_TIMEOUT: "1s",
  POD_NAME: "test-0",
  POD_NAMESPACE: "test",
  OTEL_SDK_DISABLED: "true",
};

/** Starts a service in this process, on free ports. Resolves when `wire` has run; rejects when the service ends before that. */
export async function startService<Config extends ChassisConfig>(
  options: StartOptions<Config>,
): Promise<RunningService> {
  const { config: definition, wire, env = {}, ...run } = options;
  // Made by the mesh when it first has something to keep.
  const snapshots = join(tmpdir(), `weft-snapshots-${randomUUID()}`);
  const config = definition.parse({ ...testEnvironment, WEFT_SNAPSHOT_DIR: snapshots, ...env });
  if (!config.ok) throw new Error(config.error.text);
  const host = createFakeHost();
  let bound = { admin: 0, debug: 0 };
  const started = new Promise<void>((resolve) => {
    void runService(
      config.value,
      async (chassis) => {
        await wire(chassis);
        resolve();
      },
      { ...run, host, onBound: (ports) => (bound = ports) },
    );
  });
  const early = host.exited.then((code) => {
    throw new Error(`service: ended with code ${code} before it started\n${host.lines.join("\n")}`);
  });
  early.catch(() => {
    // After the start, ending is what tests ask for.
  });
  await Promise.race([started, early]);
  return {
    adminUrl: `http://127.0.0.1:${bound.admin}`,
    debugUrl: `http://127.0.0.1:${bound.debug}`,
    lines: host.lines,
    exited: host.exited,
    signal: (name) => host.raise(name),
    async [Symbol.asyncDispose]() {
      host.raise("SIGTERM");
      await host.exited;
      await rm(snapshots, { recursive: true, force: true });
    },
  };
}
