import type { Chassis } from "@weft/chassis";
import { createKubeClient, inClusterServer, kinds, startInformer } from "@weft/kube";
import { createGrpcJsTransport } from "@weft/wire";
import type { Config } from "./config.js";
import { type ControlPlaneState, createControlPlane } from "./control-plane.js";
import { startLeaderElection } from "./election/leader-election.js";
import { createScrape } from "./metrics/scrape.js";
import { Scraper } from "./metrics/scraper.js";
import { trimPod } from "./metrics/target.js";
import { startMetricsApi } from "./metrics-api/metrics-api.js";
import { createKubeSource } from "./source/kube-source.js";
import { createKubeStatusWriter } from "./status/kube-status-writer.js";

export function wire(chassis: Chassis<Config>): void {
  const { config, scope, clock, logger, readiness, identity } = chassis;
  const { namespace } = identity;
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
  const election = scope.use(
    startLeaderElection({
      client,
      lease: { namespace, name: "control-plane" },
      identity: identity.pod,
      clock,
      logger,
    }),
  );
  const status = scope.use(createKubeStatusWriter({ client, leading: election.leading, clock, logger }));
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
  const pods = scope.use(startInformer({ client, kind: kinds.pod, trim: trimPod, clock, logger }));
  const scrape = createScrape({ timeoutMs: 3_000, maxBytes: 8 * 1_024 * 1_024 });
  scope.defer(() => scrape[Symbol.dispose]());
  const figures = scope.use(new Scraper({ pods: pods.objects, synced: pods.synced, scrape, clock, logger }));
  const metricsApi = scope.use(
    startMetricsApi({
      client,
      figures,
      host: config.WEFT_BIND,
      port: config.WEFT_METRICS_API_PORT,
      namespace,
      clock,
      logger,
    }),
  );
  for (const { failed } of [controlPlane, metricsApi]) {
    scope.spawn((signal) => Promise.race([failed, aborted(signal)]));
  }
  const following = readiness.follow("kubernetes", controlPlane.state, reasonOf);
  scope.defer(() => following[Symbol.dispose]());
  chassis.describe("version", () => controlPlane.describe().version);
  chassis.describe("resources", () => controlPlane.describe().resources);
  chassis.describe("clients", () => controlPlane.describe().clients);
  chassis.describe("leading", () => election.leading.value);
  chassis.describe("metricsApi", () => ({ ...metricsApi.state.value, ...figures.describe() }));
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
