import { type Logger, Scope } from "@weft/foundation";
import {
  type ConfigMap,
  type Deployment,
  type EndpointSlice,
  type Informer,
  type Kind,
  type KindOf,
  type KubeClient,
  type KubeObject,
  kinds,
  type Namespace,
  type Node,
  type Pod,
  type ReplicaSet,
  type Secret,
  type Service,
  type ServiceAccount,
  startInformer,
} from "@weft/kube";

/** One view of the cluster, shared by the kubelet, the controllers and the board. */
export interface Informers extends AsyncDisposable {
  readonly namespaces: Informer<Namespace>;
  readonly nodes: Informer<Node>;
  readonly services: Informer<Service>;
  readonly slices: Informer<EndpointSlice>;
  readonly pods: Informer<Pod>;
  readonly deployments: Informer<Deployment>;
  readonly replicaSets: Informer<ReplicaSet>;
  readonly secrets: Informer<Secret>;
  readonly configMaps: Informer<ConfigMap>;
  readonly serviceAccounts: Informer<ServiceAccount>;
  readonly autoscalers: Informer<KindOf<typeof kinds.horizontalPodAutoscaler>>;
  readonly budgets: Informer<KindOf<typeof kinds.podDisruptionBudget>>;
}

/** Starts them and waits until each has listed once. */
export async function startInformers(options: {
  readonly client: KubeClient;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}): Promise<Informers> {
  const { client, logger, signal } = options;
  const scope = new Scope();
  const all: Informer<KubeObject>[] = [];
  const start = <T extends KubeObject>(kind: Kind<T>): Informer<T> => {
    const informer = scope.use(startInformer({ client, kind, logger }));
    all.push(informer);
    return informer;
  };
  const informers: Informers = {
    namespaces: start(kinds.namespace),
    nodes: start(kinds.node),
    services: start(kinds.service),
    slices: start(kinds.endpointSlice),
    pods: start(kinds.pod),
    deployments: start(kinds.deployment),
    replicaSets: start(kinds.replicaSet),
    secrets: start(kinds.secret),
    configMaps: start(kinds.configMap),
    serviceAccounts: start(kinds.serviceAccount),
    autoscalers: start(kinds.horizontalPodAutoscaler),
    budgets: start(kinds.podDisruptionBudget),
    [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose](),
  };
  await Promise.all(all.map(({ synced }) => synced.until((done) => done, signal)));
  return informers;
}
