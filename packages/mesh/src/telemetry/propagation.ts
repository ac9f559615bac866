import { type Context, propagation, ROOT_CONTEXT, type TextMapGetter, type TextMapSetter } from "@opentelemetry/api";
import { type Metadata, type MetadataEntry, textOf } from "@weft/wire";

const getter: TextMapGetter<Metadata> = {
  get: (metadata, name) => textOf(metadata, name),
  keys: (metadata) => metadata.map(([name]) => name),
};

const setter: TextMapSetter<MetadataEntry[]> = {
  set: (entries, name, value) => void entries.push([name.toLowerCase(), value]),
};

/** The metadata with the trace context and baggage of `context` in it, in place of any that it held. */
export function injectContext(context: Context, metadata: Metadata): Metadata {
  const fields = new Set(propagation.fields());
  const entries: MetadataEntry[] = metadata.filter(([name]) => !fields.has(name));
  propagation.inject(context, entries, setter);
  return entries;
}

/** The trace context and baggage that came with a call. */
export function extractContext(metadata: Metadata): Context {
  return propagation.extract(ROOT_CONTEXT, metadata, getter);
}
