import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { type Clock, type Parsed, parsed, refused, systemClock } from "@weft/foundation";
import { parse as parseYaml } from "yaml";
import type { KubeServer } from "./http.js";
import { flag, json, list, object, optional, parseShape, text } from "./shape.js";

const kubeconfigShape = object({
  "current-context": optional(text),
  clusters: optional(
    list(
      object({
        name: text,
        cluster: object({
          server: text,
          "certificate-authority": optional(text),
          "certificate-authority-data": optional(text),
          "insecure-skip-tls-verify": optional(flag),
          "tls-server-name": optional(text),
          "proxy-url": optional(text),
        }),
      }),
    ),
  ),
  users: optional(
    list(
      object({
        name: text,
        user: optional(
          object({
            token: optional(text),
            tokenFile: optional(text),
            "client-certificate": optional(text),
            "client-certificate-data": optional(text),
            "client-key": optional(text),
            "client-key-data": optional(text),
            username: optional(text),
            password: optional(text),
            exec: optional(json),
            "auth-provider": optional(json),
            as: optional(text),
          }),
        ),
      }),
    ),
  ),
  contexts: optional(
    list(object({ name: text, context: object({ cluster: text, user: optional(text), namespace: optional(text) }) })),
  ),
});

/** What one context of a kubeconfig says. */
export interface KubeContext extends KubeServer {
  /** The namespace that commands without one mean. */
  readonly namespace: string;
}

/**
 * Reads a kubeconfig (YAML or JSON). Files that it names are relative to `directory` and read here, tokens from files again as they rotate.
 * Sign-in plugins (`exec`, `auth-provider`), passwords, impersonation and proxies are refused with a message that says so.
 */
export function parseKubeconfig(
  source: string,
  options: { readonly directory?: string; readonly context?: string; readonly clock?: Clock } = {},
): Parsed<KubeContext> {
  let document: unknown;
  try {
    document = parseYaml(source);
  } catch (error) {
    return refused(`kubeconfig: ${error instanceof Error ? error.message : String(error)}`);
  }
  const read = parseShape(kubeconfigShape, document);
  if (!read.ok) return refused(`kubeconfig: ${read.error}`);
  const config = read.value;
  const contextName = options.context ?? config["current-context"] ?? "";
  const context = config.contexts?.find((entry) => entry.name === contextName)?.context;
  if (context === undefined) return refused(`kubeconfig: no context ${JSON.stringify(contextName)}`);
  const cluster = config.clusters?.find((entry) => entry.name === context.cluster)?.cluster;
  if (cluster === undefined) return refused(`kubeconfig: no cluster ${JSON.stringify(context.cluster)}`);
  const user = context.user === undefined ? {} : config.users?.find((entry) => entry.name === context.user)?.user;
  if (user === undefined) return refused(`kubeconfig: no user ${JSON.stringify(context.user)}`);
  const refusal = refusedFeature(user, cluster["proxy-url"]);
  if (refusal !== undefined) return refused(`kubeconfig: user ${JSON.stringify(context.user)}: ${refusal}`);

  const directory = options.directory ?? ".";
  const pem = (data: string | undefined, file: string | undefined): string | undefined => {
    if (data !== undefined) return Buffer.from(data, "base64").toString("utf8");
    return file === undefined ? undefined : readFileSync(resolve(directory, file), "utf8");
  };
  try {
    const ca = pem(cluster["certificate-authority-data"], cluster["certificate-authority"]);
    const cert = pem(user["client-certificate-data"], user["client-certificate"]);
    const key = pem(user["client-key-data"], user["client-key"]);
    const { token, tokenFile } = user;
    const provider =
      tokenFile !== undefined
        ? tokenFrom(resolve(directory, tokenFile), options.clock)
        : token === undefined
          ? undefined
          : () => token;
    const serverName = cluster["tls-server-name"];
    return parsed({
      server: cluster.server,
      namespace: context.namespace ?? "default",
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined || key === undefined ? {} : { clientCertificate: { cert, key } }),
      ...(provider === undefined ? {} : { token: provider }),
      ...(serverName === undefined ? {} : { serverName }),
      ...(cluster["insecure-skip-tls-verify"] === true ? { insecureSkipTlsVerify: true } : {}),
    });
  } catch (error) {
    return refused(`kubeconfig: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function refusedFeature(user: Readonly<Record<string, unknown>>, proxy: string | undefined): string | undefined {
  if (user["exec"] !== undefined)
    return "sign-in by a plugin (exec) is not supported; use a token or a client certificate";
  if (user["auth-provider"] !== undefined) return "auth-provider is not supported; use a token or a client certificate";
  if (user["password"] !== undefined) return "passwords are not supported; use a token or a client certificate";
  if (user["as"] !== undefined) return "impersonation is not supported";
  if (proxy !== undefined) return "proxy-url is not supported";
  return undefined;
}

/** Reads a kubeconfig file. */
export function loadKubeconfig(file: string, options: { readonly context?: string } = {}): Parsed<KubeContext> {
  let source: string;
  try {
    source = readFileSync(file, "utf8");
  } catch (error) {
    return refused(`kubeconfig: ${error instanceof Error ? error.message : String(error)}`);
  }
  return parseKubeconfig(source, { ...options, directory: dirname(resolve(file)) });
}

/**
 * What a Pod has: the API server's address and the folder of its projected token (`token`, `ca.crt`).
 * Both files are read again as they rotate. Throws when they are not there.
 */
export function inClusterServer(options: {
  readonly host: string;
  readonly port: number | string;
  readonly directory: string;
  readonly clock?: Clock;
}): KubeServer {
  const host = options.host.includes(":") ? `[${options.host}]` : options.host;
  const token = tokenFrom(join(options.directory, "token"), options.clock);
  const ca = join(options.directory, "ca.crt");
  token();
  readFileSync(ca);
  return { server: `https://${host}:${options.port}`, token, ca: () => readFileSync(ca, "utf8") };
}

/** The kubelet renews a projected token well before it ends, so a copy of this age is still good. */
const tokenAgeMs = 10_000;

/** A token in a file that somebody else renews. */
function tokenFrom(file: string, clock: Clock = systemClock): () => string {
  let cached: { readonly value: string; readonly readMs: number } | undefined;
  return () => {
    const nowMs = clock.nowMs();
    if (cached === undefined || nowMs - cached.readMs >= tokenAgeMs) {
      cached = { value: readFileSync(file, "utf8").trim(), readMs: nowMs };
    }
    return cached.value;
  };
}
