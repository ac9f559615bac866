import type { DescService } from "@bufbuild/protobuf";

/** The mesh target of each proto service that is not where the rule says, by its full name. */
export type TargetOverrides = ReadonlyMap<string, string>;

/**
 * The one place that says which Kubernetes Service serves a proto service: package `shop.orders.v1` is served by the Service
 * `orders` in the namespace `shop`, unless the configuration names another.
 */
export function targetOf(service: DescService, overrides: TargetOverrides): string {
  const override = overrides.get(service.typeName);
  if (override !== undefined) return override;
  const [, namespace, name] = /^([a-z0-9]+)\.([a-z0-9]+)\.v\d+$/.exec(service.file.proto.package) ?? [];
  if (namespace === undefined || name === undefined)
    throw new Error(`no rule says which Service serves "${service.typeName}": name its target in the configuration`);
  return `${name}.${namespace}`;
}

/** Reads `proto.Service=target` entries. Throws at one that is not of this form. */
export function parseTargets(entries: readonly string[]): TargetOverrides {
  return new Map(
    entries.map((entry) => {
      const [, service, target] = /^([\w.]+)=([\w.:-]+)$/.exec(entry) ?? [];
      if (service === undefined || target === undefined)
        throw new Error(`the target "${entry}" is not of the form proto.Service=target`);
      return [service, target] as const;
    }),
  );
}
