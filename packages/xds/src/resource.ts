import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";
import { DiscoveryResponseSchema } from "@weft/contracts/envoy/service/discovery/v3";
import type { TypeUrl } from "./type-urls.js";

/** A resource encoded once, for all streams that will send it. */
export interface EncodedResource {
  readonly type: TypeUrl;
  readonly name: string;
  /** The resource as an encoded `resources` field of a DiscoveryResponse: parts are joined to make a response. */
  readonly field: Uint8Array;
}

/** A message wrapped into `google.protobuf.Any`. The type URL is `type.googleapis.com/` and the message's full name. */
export function packAny<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Any {
  return create(AnySchema, {
    typeUrl: `type.googleapis.com/${schema.typeName}`,
    value: toBinary(schema, message),
  });
}

/** What an Any holds, if it is of this type. Throws when its bytes are not a message of the type they claim. */
export function unpackAny<Desc extends DescMessage>(
  any: Any | undefined,
  schema: Desc,
): MessageShape<Desc> | undefined {
  if (any === undefined) return undefined;
  const name = any.typeUrl.slice(any.typeUrl.lastIndexOf("/") + 1);
  return name === schema.typeName ? fromBinary(schema, any.value) : undefined;
}

/** Encodes a resource for {@link EncodedResource}'s sharing. The schema must be that of the type. */
export function encodeResource<Desc extends DescMessage>(
  type: TypeUrl,
  name: string,
  schema: Desc,
  message: MessageShape<Desc>,
): EncodedResource {
  const response = create(DiscoveryResponseSchema, { resources: [packAny(schema, message)] });
  return { type, name, field: toBinary(DiscoveryResponseSchema, response) };
}

/** Whether two encodings say the same. Encodings made alike of equal messages are equal. */
export function sameResource(a: EncodedResource | undefined, b: EncodedResource | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined || a.field.length !== b.field.length) return false;
  return Buffer.compare(a.field, b.field) === 0;
}
