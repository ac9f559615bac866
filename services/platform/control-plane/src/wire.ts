import type { Chassis } from "@weft/chassis";
import { createKubeClient, inClusterServer } from "@weft/kube";
import { createGrpcJsTransport } from "@weft/wire";
import type { Config } from "./config.js";
import { type ControlPlaneState, createControlPlane } from "./control-plane.js";
import { createKubeSource } from "./source/kube-source.js";
import { createKubeStatusWriter } from "./status/kube-status-writer.js";

export function wire(chassis: Chassis<Config>): void {
  const { config, scope, clock, logger, readiness } = chassis;
  const client = scope.use(
    createKubeClient(
      inClusterServer({
        host: config.KUBERNETES_SERVICE_HOST,
        port: config.KUBERNETES_SERVICE_PORT,
        directory: config.WEFT_SERVICEACCOUNT_DIR,
        clock,
      }),
    ),
  );
  const status = scope.use(createKubeStatusWriter({ client, clock, logger }));
  const controlPlane = scope.use(
    createControlPlane({
      source: createKubeSource({ client, clock, logger }),
      status,
      transport: createGrpcJsTransport(),
      host: config.WEFT_BIND,
      port: config.WEFT_PORT,
      clock,
      logger,
    }),
  );
  scope.spawn((signal) => Promise.race([controlPlane.failed, aborted(signal)]));
  const following = readiness.follow("kubernetes", controlPlane.state, reasonOf);
  scope.defer(() => following[Symbol.dispose]());
  chassis.describe("version", () => controlPlane.describe().version);
  chassis.describe("resources", () => controlPlane.describe().resources);
  chassis.describe("clients", () => controlPlane.describe().clients);
  chassis.onDrain("ads", ({ timeoutMs }) => controlPlane.drain(timeoutMs));
}

function reasonOf(state: ControlPlaneState): string | undefined {
  switch (state.t) {
    case "listing":
      return `not listed yet: ${state.waitingFor.join(", ") || "the cluster's identity"}`;
    case "serving":
      return undefined;
    case "stopped":
      return "stopped";
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
