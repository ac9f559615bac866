import { type Logger, Scope } from "@weft/foundation";
import {
  type EndpointSlice,
  type Informer,
  type KubeClient,
  keyOf,
  kinds,
  type Service,
  type ServicePort,
} from "@weft/kube";
import { forEach, startController } from "./controller.js";
import { serviceOf } from "./endpoint-slices.js";
import { startTcpProxy, type TcpProxy } from "./tcp-proxy.js";

/** Gives each port of each LoadBalancer Service a port of 127.0.0.1. */
export interface LoadBalancers extends AsyncDisposable {
  /** Where a port of a Service is reached, as `127.0.0.1:8080`; `undefined` when it has no such port, or not yet. */
  addressOf(service: { readonly name: string; readonly namespace: string }, port: string): string | undefined;
  /** Refuses new connections to every Service from now on. */
  stopAccepting(): Promise<void>;
}

interface Open {
  readonly proxy: TcpProxy;
  readonly service: string;
  readonly portName: string | undefined;
  readonly wanted: number;
}

/** Starts it. A port that is taken moves to the next free one, which is written to the Service's status and told to `onMoved`. */
export function startLoadBalancers(options: {
  readonly client: KubeClient;
  readonly services: Informer<Service>;
  readonly slices: Informer<EndpointSlice>;
  readonly logger: Logger;
  onMoved(service: string, port: ServicePort, to: number): void;
}): LoadBalancers {
  const { client, services, slices } = options;
  const open = new Map<string, Open>();
  const scope = new Scope();
  let accepting = true;

  const targets = (service: string, portName: string | undefined) => (): { host: string; port: number }[] => {
    const found: { host: string; port: number }[] = [];
    for (const slice of slices.objects.value.values()) {
      if (serviceOf(slice) !== service) continue;
      const port = slice.ports?.find(({ name }) => name === portName)?.port;
      if (port === undefined) continue;
      for (const endpoint of slice.endpoints ?? []) {
        if (endpoint.conditions?.ready !== false) found.push(...endpoint.addresses.map((host) => ({ host, port })));
      }
    }
    return found;
  };

  const wantedPorts = (): ReadonlyMap<string, { readonly service: string; readonly port: ServicePort }> => {
    const wanted = new Map<string, { readonly service: string; readonly port: ServicePort }>();
    for (const [service, object] of services.objects.value) {
      if (object.spec.type !== "LoadBalancer" || object.metadata.deletionTimestamp !== undefined) continue;
      for (const port of object.spec.ports ?? [])
        wanted.set(`${service}:${port.name ?? ""}:${port.port}`, { service, port });
    }
    return wanted;
  };

  scope.use(
    startController({
      name: "load-balancers",
      triggers: [services.objects],
      logger: options.logger,
      async reconcile(signal) {
        const wanted = wantedPorts();
        for (const [key, { proxy }] of open) {
          if (wanted.has(key)) continue;
          open.delete(key);
          await proxy[Symbol.asyncDispose]();
        }
        await forEach(wanted, async ([key, { service, port }]) => {
          if (open.has(key) || !accepting) return;
          const proxy = await startTcpProxy({ port: port.port, targets: targets(service, port.name) });
          open.set(key, { proxy, service, portName: port.name, wanted: port.port });
          if (proxy.port !== port.port) options.onMoved(service, port, proxy.port);
        });
        await forEach(services.objects.value, ([service, object]) => writeStatus(service, object, signal));
        return undefined;
      },
    }),
  );

  const writeStatus = async (key: string, service: Service, signal: AbortSignal): Promise<void> => {
    const proxies = (service.spec.ports ?? []).flatMap(
      (port) => open.get(`${key}:${port.name ?? ""}:${port.port}`)?.proxy ?? [],
    );
    const ingress =
      proxies.length === 0
        ? []
        : [{ ip: "127.0.0.1", ipMode: "Proxy", ports: proxies.map(({ port }) => ({ port, protocol: "TCP" })) }];
    const known = service.status?.loadBalancer?.ingress ?? [];
    const plain = (list: typeof known): string =>
      JSON.stringify(list.map(({ ip, ports }) => [ip, ports?.map(({ port }) => port)]));
    if (plain(known) === plain(ingress)) return;
    const { name, namespace = "default" } = service.metadata;
    const body = { status: { loadBalancer: { ingress } } };
    await client.patch(kinds.service, { name, namespace }, { t: "merge", body }, { subresource: "status", signal });
  };

  scope.defer(async () => {
    await Promise.all([...open.values()].map(({ proxy }) => proxy[Symbol.asyncDispose]()));
  });
  return {
    addressOf(service, port) {
      const key = keyOf(service);
      for (const { proxy, service: owner, portName } of open.values()) {
        if (owner === key && portName === port) return `${proxy.host}:${proxy.port}`;
      }
      return undefined;
    },
    async stopAccepting() {
      accepting = false;
      await Promise.all([...open.values()].map(({ proxy }) => proxy.stopAccepting()));
    },
    [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose](),
  };
}
