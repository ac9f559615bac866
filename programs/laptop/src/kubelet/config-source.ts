import type { ConfigMap, Pod, Secret } from "@weft/kube";

/**
 * What Pods are configured from. Answers from what was last heard: a missing object is asked for again when {@link ConfigSource.changed} settles.
 * An object that is there but must not be used yet is a {@link ConfigMissing} with the reason.
 */
export interface ConfigSource {
  configMap(namespace: string, name: string): ConfigMap | undefined;
  secret(namespace: string, name: string): Secret | undefined;
  /** A service account token bound to the Pod. */
  token(pod: Pod, request: TokenRequest): Promise<IssuedToken>;
  /** Settles when any ConfigMap or Secret changed, or the signal aborts. */
  changed(signal: AbortSignal): Promise<void>;
}

export interface TokenRequest {
  readonly audience: string | undefined;
  readonly expirationSeconds: number;
}

export interface IssuedToken {
  readonly token: string;
  /** Wall-clock milliseconds. */
  readonly expiresAtMs: number;
}

/** Something of a Pod's configuration that is not there yet, in the kubelet's words. */
export class ConfigMissing extends Error {
  override readonly name = "ConfigMissing";
}
