import { renameSync, writeFileSync } from "node:fs";
import { Scope } from "@weft/foundation";
import type { EndpointSlice, Informer, Namespace, Service } from "@weft/kube";
import { readyAddresses } from "./endpoint-slices.js";

/**
 * Keeps the file that the lookup hook of every Pod reads: what each Service name resolves to now.
 * It is replaced whole, by rename, as soon as the API says something else; there is no wait in it.
 */
export function startServiceNames(options: {
  readonly file: string;
  readonly namespaces: Informer<Namespace>;
  readonly services: Informer<Service>;
  readonly slices: Informer<EndpointSlice>;
  /** Names that are no Service here, such as `kubernetes.default`. */
  readonly fixed: Readonly<Record<string, readonly string[]>>;
}): AsyncDisposable {
  const { file, namespaces, services, slices } = options;
  const scope = new Scope();
  let written = "";
  const write = (): void => {
    const names: Record<string, readonly string[]> = { ...options.fixed };
    for (const [key, service] of services.objects.value) {
      const { name, namespace = "default" } = service.metadata;
      names[`${name}.${namespace}`] = readyAddresses(slices.objects.value.values(), key);
    }
    const text = JSON.stringify({ namespaces: [...namespaces.objects.value.keys()], services: names });
    if (text === written) return;
    writeFileSync(`${file}.new`, text, { mode: 0o600 });
    renameSync(`${file}.new`, file);
    written = text;
  };
  for (const { objects } of [namespaces, services, slices]) {
    const subscription = objects.subscribe(write);
    scope.defer(() => subscription[Symbol.dispose]());
  }
  write();
  return scope;
}
