import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Logger, Scope, type Watch } from "@weft/foundation";
import { type AnyObject, createKubeClient, type KubeClient, kinds, type Pod } from "@weft/kube";
import { createLaptopApi, type LaptopApi, type LaptopApiOptions } from "../api/index.js";
import {
  type LoadBalancers,
  startAutoscalers,
  startBudgets,
  startDatabases,
  startEndpointSlices,
  startLoadBalancers,
  startServiceNames,
  startWorkloads,
} from "../controllers/index.js";
import { claimAddressBlock } from "../kubelet/address-block.js";
import { createPostgresRuntime, type ImageResolver, postgresImage } from "../kubelet/images.js";
import { type Kubelet, startKubelet } from "../kubelet/kubelet.js";
import { endLeftovers, enterUnlisted, ProcessLedger } from "../kubelet/process-ledger.js";
import { type PodAccess, PodUnavailable } from "../pod-access.js";
import { type Applied, applyManifests } from "./apply.js";
import { createClusterConfig } from "./cluster-config.js";
import { type Informers, startInformers } from "./informers.js";
import { nodeName, registerNode } from "./node.js";
import { type DeploymentLine, watchReadiness } from "./readiness.js";
import { prepareRun, removeRun, type StateFolder } from "./state-folder.js";

/** Kubernetes' own, on the node's address. */
const apiPort = 6443;

/** What is left of an earlier run gets this long to end by itself. */
const leftoverGraceMs = 5_000;

/** A small cluster that runs in this process. */
export interface Laptop extends AsyncDisposable {
  readonly client: KubeClient;
  readonly apiUrl: string;
  readonly readiness: Watch<readonly DeploymentLine[]>;
  /** `127.0.0.1:8080`, where a port of a LoadBalancer Service is reached. */
  addressOf(service: { readonly name: string; readonly namespace: string }, port: string): string | undefined;
  /** Brings the API to these objects. */
  apply(objects: readonly AnyObject[]): Promise<Applied>;
  /** Rejects when a part of the cluster fails for good. */
  readonly failed: Promise<never>;
  /**
   * Ends everything: new connections first, then every Pod at once, Postgres after them. Each gets at most `graceMs`; called again with less, less.
   */
  stop(graceMs: number): Promise<void>;
}

export interface LaptopOptions {
  readonly state: StateFolder;
  readonly images: ImageResolver;
  /** `PATH` for the Pods. */
  readonly path: string;
  /** Environment that wins over the manifests. */
  readonly forcedEnv: Readonly<Record<string, string>>;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Something that a person should read: a port that moved, what was left of an earlier run. */
  notice(line: string): void;
}

/**
 * Starts the cluster, empty or with the objects of the last run:
 *
 *   end leftovers → API → informers → controllers and kubelet
 *
 * Pods of the last run are gone with their processes: their objects are removed, and their owners make new ones.
 */
export async function startLaptop(options: LaptopOptions): Promise<Laptop> {
  const { state, logger, signal, notice } = options;
  const scope = new Scope();
  try {
    const ledger = ProcessLedger.open(state.processes);
    enterUnlisted(ledger, `LAPTOP_NAMES_FILE=${state.names}`);
    const left = await endLeftovers(ledger, leftoverGraceMs);
    if (left.length > 0) notice(`ended ${left.length} processes that an earlier run left`);
    prepareRun(state);
    scope.defer(() => removeRun(state));
    const addresses = scope.use(await claimAddressBlock(state.root));

    let kubelet: Kubelet | undefined;
    const api = scope.use(
      await startApi({
        directory: state.api,
        host: addresses.nodeAddress,
        podAccess: lateAccess(() => kubelet),
        logger,
      }),
    );
    writeFileSync(state.kubeconfig, api.kubeconfig(), { mode: 0o600 });
    const client = scope.use(createKubeClient(api.admin));
    await removeOldPods(client, signal);
    await registerNode(client, addresses.nodeAddress, signal);
    const informers = scope.use(await startInformers({ client, logger, signal }));

    const postgres = createPostgresRuntime({ directory: state.postgres, logger });
    const databases = scope.use(startDatabases({ client, ...informers, adminUrl: postgres.adminUrl, logger }));
    scope.use(startWorkloads({ client, ...informers, nodeName, logger }));
    scope.use(startAutoscalers({ client, ...informers, logger }));
    scope.use(startBudgets({ client, ...informers, logger }));
    scope.use(startEndpointSlices({ client, ...informers, logger }));
    scope.use(
      startServiceNames({ file: state.names, ...informers, fixed: { "kubernetes.default": [addresses.nodeAddress] } }),
    );
    const loadBalancers = scope.use(
      startLoadBalancers({
        client,
        ...informers,
        logger,
        onMoved: (service, port, to) =>
          notice(`${service}: port ${port.port} is taken, ${port.name ?? "it"} is at 127.0.0.1:${to}`),
      }),
    );
    kubelet = startKubelet({
      client,
      pods: informers.pods,
      addresses,
      machine: {
        nodeName,
        nodeAddress: addresses.nodeAddress,
        podsFolder: join(state.run, "pods"),
        logsFolder: state.logs,
        images: options.images,
        postgres,
        source: createClusterConfig({ client, ...informers, databases }),
        ledger,
        logger,
        baseEnv: (pod) => ({
          PATH: options.path,
          NODE_COMPILE_CACHE: state.compileCache,
          KUBERNETES_SERVICE_HOST: addresses.nodeAddress,
          KUBERNETES_SERVICE_PORT: String(api.port),
          LAPTOP_NAMES_FILE: state.names,
          LAPTOP_NAMESPACE: pod.metadata.namespace ?? "default",
        }),
        forcedEnv: options.forcedEnv,
      },
    });
    scope.use(kubelet);
    return createLaptop({ scope, client, apiUrl: api.url, informers, loadBalancers, kubelet, options });
  } catch (error) {
    await scope[Symbol.asyncDispose]();
    throw error;
  }
}

function createLaptop(parts: {
  readonly scope: Scope;
  readonly client: KubeClient;
  readonly apiUrl: string;
  readonly informers: Informers;
  readonly loadBalancers: LoadBalancers;
  readonly kubelet: Kubelet;
  readonly options: LaptopOptions;
}): Laptop {
  const { scope, client, informers, loadBalancers, kubelet, options } = parts;
  const readiness = watchReadiness(informers);
  scope.defer(() => readiness[Symbol.dispose]());
  const stop = async (graceMs: number): Promise<void> => {
    await loadBalancers.stopAccepting();
    await kubelet.stopAll({ graceMs, last: isPostgres });
    await scope[Symbol.asyncDispose]();
  };
  return {
    client,
    apiUrl: parts.apiUrl,
    readiness,
    addressOf: (service, port) => loadBalancers.addressOf(service, port),
    apply: (objects) => applyManifests({ client, objects, file: options.state.applied, signal: options.signal }),
    failed: kubelet.failed,
    stop,
    [Symbol.asyncDispose]: () => stop(0),
  };
}

/** Starts the API on its usual port, or any when a program that listens on all addresses has that. */
async function startApi(options: LaptopApiOptions): Promise<LaptopApi> {
  try {
    return await createLaptopApi({ ...options, port: apiPort });
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EADDRINUSE")) throw error;
    return await createLaptopApi({ ...options, port: 0 });
  }
}

/** The API is there before the kubelet that it reaches Pods through. */
function lateAccess(kubelet: () => Kubelet | undefined): PodAccess {
  const access = (): PodAccess => {
    const found = kubelet();
    if (found === undefined) throw new PodUnavailable("the kubelet has not started yet");
    return found.access;
  };
  return {
    logs: async (pod, request) => access().logs(pod, request),
    connect: async (pod, port, signal) => access().connect(pod, port, signal),
  };
}

/** Removes the Pods of an earlier run, and what still points to them. */
async function removeOldPods(client: KubeClient, signal: AbortSignal): Promise<void> {
  for (const { metadata } of (await client.list(kinds.endpointSlice, { signal })).items) {
    await client.delete(
      kinds.endpointSlice,
      { name: metadata.name, namespace: metadata.namespace ?? "default" },
      { signal },
    );
  }
  for (const { metadata } of (await client.list(kinds.pod, { signal })).items) {
    const ref = { name: metadata.name, namespace: metadata.namespace ?? "default" };
    await client.delete(kinds.pod, ref, { gracePeriodSeconds: 0, signal });
  }
}

function isPostgres({ spec }: Pod): boolean {
  return spec.containers.some(({ image }) => image?.startsWith(`${postgresImage}:`));
}
