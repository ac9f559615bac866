import type { Container, EnvVar } from "@weft/kube";
import { ConfigMissing, type ConfigSource } from "./config-source.js";
import { fieldValue, type PodFacts, resourceValue } from "./downward.js";
import { expand, type Mount, rewritePath } from "./expansion.js";

/** How one container is to be run. */
export interface ContainerInvocation {
  readonly env: Readonly<Record<string, string>>;
  /** `command` of the manifest, which replaces what the image runs; `undefined` when it has none. */
  readonly command: readonly string[] | undefined;
  readonly args: readonly string[];
}

/**
 * A container's environment and arguments, as the kubelet makes them, later entries over earlier ones:
 * `base` (the machine), envFrom, env, then `forced` (the laptop's own and the shell's OTEL_*).
 * Values under a mount path point to the folder that stands for the volume. Throws {@link ConfigMissing} while a Secret or ConfigMap is not there.
 */
export function createInvocation(options: {
  readonly container: Container;
  readonly facts: PodFacts;
  readonly source: ConfigSource;
  readonly mounts: readonly Mount[];
  readonly base: Readonly<Record<string, string>>;
  readonly forced: Readonly<Record<string, string>>;
}): ContainerInvocation {
  const { container, mounts } = options;
  const env: Record<string, string> = { ...options.base };
  Object.assign(env, fromSources(options));
  for (const variable of container.env ?? []) {
    const value = variableValue(variable, options, env);
    if (value !== undefined) env[variable.name] = value;
  }
  Object.assign(env, options.forced);
  for (const [name, value] of Object.entries(env)) env[name] = rewritePath(value, mounts);
  const argument = (text: string): string => rewritePath(expand(text, env), mounts);
  return { env, command: container.command?.map(argument), args: (container.args ?? []).map(argument) };
}

type Context = Parameters<typeof createInvocation>[0];

function fromSources(context: Context): Record<string, string> {
  const namespace = context.facts.pod.metadata.namespace ?? "default";
  const found: Record<string, string> = {};
  for (const { prefix = "", configMapRef, secretRef } of context.container.envFrom ?? []) {
    let data: Readonly<Record<string, string>> | undefined;
    if (configMapRef !== undefined) {
      data = context.source.configMap(namespace, configMapRef.name ?? "")?.data;
      if (data === undefined && configMapRef.optional !== true)
        throw new ConfigMissing(`configmap "${configMapRef.name}" not found`);
    } else if (secretRef !== undefined) {
      const secret = context.source.secret(namespace, secretRef.name ?? "");
      if (secret === undefined && secretRef.optional !== true)
        throw new ConfigMissing(`secret "${secretRef.name}" not found`);
      data = secret && decodeSecret(secret.data);
    }
    for (const [key, value] of Object.entries(data ?? {})) found[prefix + key] = value;
  }
  return found;
}

function variableValue(variable: EnvVar, context: Context, env: Readonly<Record<string, string>>): string | undefined {
  const from = variable.valueFrom;
  if (from === undefined) return expand(variable.value ?? "", env);
  const namespace = context.facts.pod.metadata.namespace ?? "default";
  if (from.fieldRef !== undefined) return fieldValue(from.fieldRef.fieldPath, context.facts);
  if (from.resourceFieldRef !== undefined) return resourceValue(from.resourceFieldRef.resource, context.container);
  if (from.configMapKeyRef !== undefined) {
    const { name = "", key, optional } = from.configMapKeyRef;
    const configMap = context.source.configMap(namespace, name);
    const value = configMap?.data?.[key];
    if (value === undefined && optional !== true)
      throw new ConfigMissing(missing("configmap", configMap, name, key, namespace));
    return value;
  }
  if (from.secretKeyRef !== undefined) {
    const { name = "", key, optional } = from.secretKeyRef;
    const secret = context.source.secret(namespace, name);
    const value = decodeSecret(secret?.data)[key];
    if (value === undefined && optional !== true)
      throw new ConfigMissing(missing("secret", secret, name, key, namespace));
    return value;
  }
  return undefined;
}

/** A Secret's values as text. */
export function decodeSecret(data: Readonly<Record<string, string>> | undefined): Record<string, string> {
  return Object.fromEntries(
    Object.entries(data ?? {}).map(([key, value]) => [key, Buffer.from(value, "base64").toString("utf8")]),
  );
}

function missing(kind: string, object: unknown, name: string, key: string, namespace: string): string {
  return object === undefined
    ? `${kind} "${name}" not found`
    : `couldn't find key ${key} in ${kind} ${namespace}/${name}`;
}
