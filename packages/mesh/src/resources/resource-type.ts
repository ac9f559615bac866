import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import type { Parsed } from "@weft/foundation";
import type { ParsedResource, ResourceType } from "@weft/xds";

/**
 * Makes the resource type of a message: decodes it, then lets `parse` check and compile it.
 * Whatever goes wrong becomes a refusal of this one resource.
 */
export function resourceType<D extends DescMessage, T>(options: {
  readonly schema: D;
  readonly complete: boolean;
  readonly name: (message: MessageShape<D>) => string;
  readonly parse: (message: MessageShape<D>) => Parsed<T>;
}): ResourceType<T> {
  return {
    typeUrl: `type.googleapis.com/${options.schema.typeName}`,
    complete: options.complete,
    parse(bytes): ParsedResource<T> {
      let name: string | undefined;
      try {
        const message = fromBinary(options.schema, bytes);
        name = options.name(message);
        if (name === "") return { ok: false, name: undefined, error: "the resource has no name" };
        const result = options.parse(message);
        return result.ok ? { ok: true, name, value: result.value } : { ok: false, name, error: result.error };
      } catch (error) {
        return { ok: false, name, error: error instanceof Error ? error.message : String(error) };
      }
    },
  };
}
