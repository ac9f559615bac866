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

/** The overrides that `proto.Service=target` pairs say. */
export function targetsFrom(pairs: readonly string[]): TargetOverrides {
  return new Map(
    pairs.map((pair) => {
      const at = pair.indexOf("=");
      return [pair.slice(0, at), pair.slice(at + 1)] as const;
    }),
  );
}
