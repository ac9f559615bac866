import { noBytes } from "../bytes/reader.js";
import type { Create } from "../message-type.js";
import type { MessagePlan } from "../plan.js";
import { quote, Source } from "./source.js";

/** What `create` of protobuf-es makes without an init, as one literal, or as a constructor where defaults are inherited. */
export function sourceCreator(plan: MessagePlan): Create {
  const source = new Source();
  const properties = Object.entries(plan.zero).map(
    ([name, value]) => [quote(name), zeroSource(value, plan.oneofs.has(name), source)] as const,
  );
  if (plan.prototype === Object.prototype) {
    source.add(`return { ${properties.map(([name, value]) => `${name}: ${value}`).join(", ")} };`);
    return source.compile<Create>("create()");
  }
  source.add(...properties.map(([name, value]) => `this[${name}] = ${value};`));
  const make = source.compile<new () => ReturnType<Create>>("Message()");
  make.prototype = plan.prototype;
  const factory = new Source();
  factory.add(`return new ${factory.constant(make)}();`);
  return factory.compile<Create>("create()");
}

function zeroSource(value: unknown, isOneof: boolean, source: Source): string {
  switch (typeof value) {
    case "string":
      return quote(value);
    case "bigint":
      return `${value}n`;
    case "number":
    case "boolean":
      return Object.is(value, -0) ? "-0" : String(value);
    default:
      if (isOneof) return "{ case: undefined }";
      if (Array.isArray(value)) return "[]";
      return value instanceof Uint8Array ? source.constant(noBytes) : "{}";
  }
}
