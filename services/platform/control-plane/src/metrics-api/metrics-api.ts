import { type Clock, type Logger, Scope, sleep, type Watch, WatchSource } from "@weft/foundation";
import type { ServerIdentity } from "@weft/foundation/certificates";
import { isKubeError, type KubeClient, kinds } from "@weft/kube";
import { answer, type Figures } from "./answer.js";
import { putRoots, readApiServices } from "./api-services.js";
import { type FrontProxyTrust, parseTrust } from "./front-proxy.js";
import { listenMetrics, type MetricsServer } from "./https-server.js";
import { identityFromSecret } from "./serving-identity.js";

export interface MetricsApiOptions {
  readonly client: KubeClient;
  readonly figures: Figures;
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** Where the Secret is, and the Service `control-plane`. */
  readonly namespace: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Between two looks at Secret, ConfigMap and APIServices. Default 10 s. */
  readonly everyMs?: number;
}

export type MetricsApiState =
  /** Nobody is answered yet, for this reason. */
  | { readonly t: "waiting"; readonly why: string }
  /** Answered; `trouble` is what could not be kept up to date. */
  | { readonly t: "serving"; readonly port: number; readonly trouble: string | undefined };

/** Dispose: stops answering. */
export interface MetricsApi extends AsyncDisposable {
  readonly state: Watch<MetricsApiState>;
  /** Rejects when the address is taken. Never resolves. */
  readonly failed: Promise<never>;
}

/**
 * `custom.metrics.k8s.io`, joined to the cluster's API by aggregation:
 *
 *   ConfigMap extension-apiserver-authentication ──▶ whom to trust ─┐
 *   Secret control-plane-metrics-api ──▶ certificate ───────────────┼──▶ HTTPS
 *                                   └──▶ root ──▶ APIService.caBundle
 *
 * The three are looked at again and again, so that what changes is followed and what somebody took away is put back. Trouble with them is told
 * and tried again, and concerns no other part of the process.
 */
export function startMetricsApi(options: MetricsApiOptions): MetricsApi {
  const { client, clock, namespace, everyMs = 10_000 } = options;
  const logger = options.logger.child({ component: "metrics-api" });
  const state = new WatchSource<MetricsApiState>({ t: "waiting", why: "not looked yet" });
  const scope = new Scope();
  const name = `control-plane.${namespace}`;
  const dnsNames = [`${name}.svc`, name, `${name}.svc.cluster.local`];
  let server: MetricsServer | undefined;
  let serving: { readonly identity: ServerIdentity; readonly trust: FrontProxyTrust } | undefined;

  const look = async (signal: AbortSignal, attempt = 1): Promise<ServingTermsRead> => {
    const trust = await readTrust(client, signal);
    if (typeof trust === "string") return { t: "untrusting", why: trust };
    // In this order: roots that another replica put there after it had replaced the Secret are never taken for foreign ones.
    const services = await readApiServices(client, signal);
    const identity = await identityFromSecret({ client, namespace, dnsNames, clock, logger, signal });
    let trouble: string | undefined;
    try {
      await putRoots(identity.ca, services, { client, logger, signal });
    } catch (error) {
      if (signal.aborted) throw error;
      // Another replica put the same there a moment before.
      if (isKubeError(error, "conflict") && attempt < 3) return look(signal, attempt + 1);
      trouble = textOf(error);
    }
    return { t: "terms", identity, trust, trouble };
  };

  const apply = async (found: ServingTermsRead): Promise<void> => {
    if (found.t === "untrusting") {
      // What was trusted is not any more: nobody is answered.
      await server?.[Symbol.asyncDispose]();
      server = undefined;
      serving = undefined;
      say(state, { t: "waiting", why: found.why }, logger);
      return;
    }
    const { trust, trouble } = found;
    // A certificate whose root is not known to the API server yet waits, if there is another.
    const identity = trouble === undefined ? found.identity : (serving?.identity ?? found.identity);
    const isSame = serving?.identity.cert === identity.cert && isSameText(serving.trust, trust);
    serving = { identity, trust };
    if (server === undefined) {
      server = await listenMetrics(options, serving, (request) => answer(request, options.figures));
    } else if (!isSame) server.use(serving);
    say(state, { t: "serving", port: server.port, trouble }, logger);
  };

  scope.spawn(async (signal) => {
    while (!signal.aborted) {
      let found: ServingTermsRead | undefined;
      try {
        found = await look(signal);
      } catch (error) {
        if (signal.aborted) return;
        // What is served goes on: the API may only be away.
        const why = textOf(error);
        say(
          state,
          server === undefined ? { t: "waiting", why } : { t: "serving", port: server.port, trouble: why },
          logger,
        );
      }
      if (found !== undefined) await apply(found);
      await sleep(everyMs, { clock, signal });
    }
  });

  return {
    state,
    failed: scope.failed,
    async [Symbol.asyncDispose]() {
      await scope[Symbol.asyncDispose]();
      await server?.[Symbol.asyncDispose]();
    },
  };
}

type ServingTermsRead =
  | { readonly t: "untrusting"; readonly why: string }
  | {
      readonly t: "terms";
      readonly identity: ServerIdentity;
      readonly trust: FrontProxyTrust;
      readonly trouble: string | undefined;
    };

/** Whom to trust, or why nobody. */
async function readTrust(client: KubeClient, signal: AbortSignal): Promise<FrontProxyTrust | string> {
  const ref = { namespace: "kube-system", name: "extension-apiserver-authentication" };
  try {
    const { data = {} } = await client.get(kinds.configMap, ref, { signal });
    const trust = parseTrust(data);
    return trust.ok ? trust.value : `configmap ${ref.namespace}/${ref.name}: ${trust.error}`;
  } catch (error) {
    if (isKubeError(error, "not-found")) return `there is no configmap ${ref.namespace}/${ref.name}`;
    throw error;
  }
}

/** Tells what is new, and logs it once. */
function say(state: WatchSource<MetricsApiState>, next: MetricsApiState, logger: Logger): void {
  if (isSameText(state.value, next)) return;
  state.set(next);
  if (next.t === "waiting") logger.warn("metrics API not served", { why: next.why });
  else if (next.trouble !== undefined) logger.warn("metrics API served with trouble", { trouble: next.trouble });
  else logger.info("metrics API served", { port: next.port });
}

function isSameText(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
