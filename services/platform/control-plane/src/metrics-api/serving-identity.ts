import { X509Certificate } from "node:crypto";
import type { Clock, Logger } from "@weft/foundation";
import {
  certificatesIn,
  createServerIdentity,
  isUsableIdentity,
  type ServerIdentity,
} from "@weft/foundation/certificates";
import { isKubeError, type KubeClient, kinds, type NewObject, type Secret } from "@weft/kube";

export interface IdentitySecretOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  /** Names of the Service, by which the API server knows it. */
  readonly dnsNames: readonly string[];
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

export const secretName = "control-plane-metrics-api";

const dayMs = 24 * 60 * 60 * 1_000;
const lifetimeMs = 90 * dayMs;
/** So long before its end a key pair is replaced. */
const renewMs = 30 * dayMs;

/**
 * The key pair that all replicas serve with, from its Secret; made where it is absent, replaced before it ends. Who comes second reads what the first made.
 * `ca` holds the new root and the one before, so that a replica that serves the old certificate for a moment longer is trusted too.
 */
export async function identityFromSecret(options: IdentitySecretOptions): Promise<ServerIdentity> {
  const { client, namespace, clock, logger, signal } = options;
  const ref = { namespace, name: secretName };
  for (let attempt = 0; ; attempt += 1) {
    const known = await readSecret(client, ref, signal);
    const identity = known === undefined ? undefined : fromSecret(known);
    const nowMs = clock.wallMs();
    if (identity !== undefined && isUsableIdentity(identity, { ...options, nowMs, forMs: renewMs })) return identity;
    const made = await createServerIdentity({
      commonName: options.dnsNames[0] ?? secretName,
      authorityName: "weft-metrics-api",
      dnsNames: options.dnsNames,
      lifetimeMs,
      nowMs,
    });
    const next: ServerIdentity = { ...made, ca: made.ca + stillGood(identity?.ca ?? "", nowMs).join("") };
    try {
      if (known === undefined) await client.create(kinds.secret, newSecret(ref, next), { signal });
      else await client.replace(kinds.secret, { ...known, data: dataOf(next) }, { signal });
      logger.info("key pair of the metrics API made", { replaced: known !== undefined });
      return next;
    } catch (error) {
      // Another replica was first: what it made is read. One that loses again and again has met something else.
      const isRace = isKubeError(error, "conflict") || isKubeError(error, "already-exists");
      if (!isRace || attempt >= 4) throw error;
    }
  }
}

async function readSecret(
  client: KubeClient,
  ref: { readonly namespace: string; readonly name: string },
  signal: AbortSignal,
): Promise<Secret | undefined> {
  try {
    return await client.get(kinds.secret, ref, { signal });
  } catch (error) {
    if (isKubeError(error, "not-found")) return undefined;
    throw error;
  }
}

function newSecret(
  ref: { readonly namespace: string; readonly name: string },
  identity: ServerIdentity,
): NewObject<Secret> {
  return {
    metadata: {
      ...ref,
      labels: {
        "app.kubernetes.io/name": "control-plane",
        "app.kubernetes.io/part-of": "weft",
        "app.kubernetes.io/managed-by": "control-plane",
      },
    },
    type: "kubernetes.io/tls",
    data: dataOf(identity),
  };
}

function dataOf({ cert, key, ca }: ServerIdentity): Record<string, string> {
  const base64 = (text: string): string => Buffer.from(text).toString("base64");
  return { "tls.crt": base64(cert), "tls.key": base64(key), "ca.crt": base64(ca) };
}

function fromSecret({ data = {} }: Secret): ServerIdentity {
  const text = (name: string): string => Buffer.from(data[name] ?? "", "base64").toString("utf8");
  return { cert: text("tls.crt"), key: text("tls.key"), ca: text("ca.crt") };
}

/** The newest of the roots before, if it is not over. */
function stillGood(roots: string, nowMs: number): readonly string[] {
  return certificatesIn(roots)
    .slice(0, 1)
    .filter((root) => {
      try {
        return Date.parse(new X509Certificate(root).validTo) > nowMs;
      } catch {
        // No certificate: nobody can trust it.
        return false;
      }
    });
}
