import { type Logger, Scope, type Watch, WatchSource } from "@weft/foundation";
import {
  type Informer,
  isKubeError,
  type KubeClient,
  keyOf,
  kinds,
  type Pod,
  type Secret,
  type Service,
} from "@weft/kube";
import { ensureOwnDatabase, newDatabaseSecret } from "@weft/store";
import { decodeSecret } from "../kubelet/environment.js";
import { forEach, startController } from "./controller.js";
import { matchesLabels } from "./selector.js";

/** Marks the Secrets that this controller made, with the name of role and database. */
const databaseLabel = "weft.dev/database";

/** Makes a database for every Pod that asks for one by naming the Secret `<x>-database`. */
export interface Databases extends AsyncDisposable {
  /** Why a Secret must not be used yet: its database was not made sure of since this laptop started. */
  holdBack(secret: Secret): string | undefined;
  /** Changes when {@link holdBack} may answer differently. */
  readonly ready: Watch<ReadonlySet<string>>;
}

export function startDatabases(options: {
  readonly client: KubeClient;
  readonly pods: Informer<Pod>;
  readonly services: Informer<Service>;
  readonly secrets: Informer<Secret>;
  /** The superuser's URL while the embedded server runs. */
  readonly adminUrl: Watch<string | undefined>;
  readonly logger: Logger;
}): Databases {
  const { client, pods, services, secrets, adminUrl } = options;
  const ready = new WatchSource<ReadonlySet<string>>(new Set());
  /** What each Secret held: one that is deleted comes back as it was, since Pods still run on it and rows are encrypted under its key. */
  const issued = new Map<string, SecretData>();
  const scope = new Scope();
  scope.use(
    startController({
      name: "databases",
      triggers: [pods.objects, secrets.objects, services.objects, adminUrl],
      logger: options.logger,
      async reconcile(signal) {
        const admin = adminUrl.value;
        if (admin === undefined) return undefined;
        let againMs: number | undefined;
        await forEach(wantedDatabases(pods.objects.value.values()), async (wanted) => {
          const key = keyOf({ name: wanted.secret, namespace: wanted.namespace });
          if (ready.value.has(key) && secrets.objects.value.has(key)) return;
          const host = serverHost(
            services.objects.value.values(),
            pods.objects.value.values(),
            new URL(admin).hostname,
          );
          if (host === undefined) {
            againMs = 500;
            return;
          }
          const data = await ensure({ client, admin, host, wanted, before: issued.get(key), signal });
          if (data !== undefined) issued.set(key, data);
          ready.set(new Set([...ready.value, key]));
          options.logger.info("database ready", { database: wanted.name });
        });
        return againMs;
      },
    }),
  );
  return {
    ready,
    holdBack(secret) {
      const database = secret.metadata.labels?.[databaseLabel];
      if (database === undefined || ready.value.has(keyOf(secret.metadata))) return undefined;
      return `database "${database}" is not ready yet`;
    },
    [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose](),
  };
}

interface Wanted {
  readonly namespace: string;
  /** Role and database. */
  readonly name: string;
  readonly secret: string;
}

/** The databases that Pods ask for. */
export function wantedDatabases(pods: Iterable<Pod>): readonly Wanted[] {
  const wanted = new Map<string, Wanted>();
  for (const { metadata, spec } of pods) {
    const namespace = metadata.namespace ?? "default";
    for (const container of [...(spec.initContainers ?? []), ...spec.containers]) {
      const names = [
        ...(container.env ?? []).map(({ valueFrom }) => valueFrom?.secretKeyRef?.name),
        ...(container.envFrom ?? []).map(({ secretRef }) => secretRef?.name),
      ];
      for (const secret of names) {
        const name = /^([a-z][a-z0-9-]*)-database$/.exec(secret ?? "")?.[1];
        if (name !== undefined && secret !== undefined)
          wanted.set(`${namespace}/${secret}`, { namespace, name, secret });
      }
    }
  }
  return [...wanted.values()];
}

/** What a database's Secret holds, as base64. */
interface SecretData extends Readonly<Record<string, string>> {
  readonly url: string;
  readonly "data-key": string;
}

/** Makes sure of a database and its Secret, and gives what that holds; `undefined` for a Secret of somebody else. */
async function ensure(options: {
  readonly client: KubeClient;
  readonly admin: string;
  readonly host: string;
  readonly wanted: Wanted;
  readonly before: SecretData | undefined;
  readonly signal: AbortSignal;
}): Promise<SecretData | undefined> {
  const { client, admin, wanted, before, signal } = options;
  const ref = { name: wanted.secret, namespace: wanted.namespace };
  const found = await client.get(kinds.secret, ref, { signal }).catch((error: unknown) => {
    if (isKubeError(error, "not-found")) return undefined;
    throw error;
  });
  // A Secret that somebody else made leads to a database of theirs.
  if (found !== undefined && found.metadata.labels?.[databaseLabel] === undefined) return undefined;
  const fresh = newDatabaseSecret({ server: options.host, name: wanted.name });
  const known = decodeSecret(found?.data ?? before)["url"] ?? fresh.url;
  const password = decodeURIComponent(new URL(known).password);
  const url = new URL(await ensureOwnDatabase({ adminUrl: admin, name: wanted.name, password }));
  url.hostname = options.host;
  const data: SecretData = {
    url: base64(url.href),
    "data-key": found?.data?.["data-key"] ?? before?.["data-key"] ?? base64(fresh["data-key"]),
  };
  if (found === undefined) {
    const metadata = { ...ref, labels: { [databaseLabel]: wanted.name } };
    await client.create(kinds.secret, { metadata, type: "Opaque", data }, { signal });
  } else if (found.data?.["url"] !== data.url || found.data["data-key"] !== data["data-key"]) {
    await client.patch(kinds.secret, ref, { t: "merge", body: { data } }, { signal });
  }
  return data;
}

/** The name under which Pods reach the server at an address: the Service that selects its Pod. */
function serverHost(services: Iterable<Service>, pods: Iterable<Pod>, address: string): string | undefined {
  const server = [...pods].find(
    ({ status, metadata }) => status?.podIP === address && metadata.deletionTimestamp === undefined,
  );
  if (server === undefined) return undefined;
  for (const { metadata, spec } of services) {
    if (metadata.namespace !== server.metadata.namespace || spec.selector === undefined) continue;
    if (matchesLabels(spec.selector, server.metadata.labels))
      return `${metadata.name}.${metadata.namespace ?? "default"}`;
  }
  return undefined;
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}
