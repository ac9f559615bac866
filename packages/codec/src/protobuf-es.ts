import { clone, type DescMessage, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { littleEndian } from "./bytes/scratch.js";
import { sortedKeys } from "./well-known.js";

/**
 * Whether protobuf-es itself writes and reads a type: one that has extensions, is a message set, or holds a group, itself or in any field.
 * Contracts of services have none of these; descriptors do.
 */
export function needsProtobufEs(desc: DescMessage): boolean {
  return !littleEndian || [...typesWithin(desc)].some(isUnusual);
}

function isUnusual({ proto, fields }: DescMessage): boolean {
  return (
    proto.extensionRange.length > 0 ||
    proto.options?.messageSetWireFormat === true ||
    fields.some((field) => "delimitedEncoding" in field && field.delimitedEncoding === true)
  );
}

/** A type and all that its fields hold. */
function typesWithin(desc: DescMessage): Set<DescMessage> {
  const found = new Set([desc]);
  // A set's loop sees what is added to it meanwhile.
  for (const { fields } of found) {
    for (const { message } of fields) if (message !== undefined) found.add(message);
  }
  return found;
}

export function encodeByProtobufEs(desc: DescMessage, message: Message, deterministic: boolean): Uint8Array {
  return toBinary(desc, deterministic ? withSortedMaps(desc, message) : message);
}

/** The bytes are protobuf-es's to keep views of. */
export function decodeByProtobufEs(desc: DescMessage, owned: Uint8Array): Message {
  return fromBinary(desc, owned);
}

function withSortedMaps(desc: DescMessage, message: Message): Message {
  const copy = clone(desc, message);
  sortMaps(reflect(desc, copy));
  return copy;
}

function sortMaps(message: ReflectMessage): void {
  for (const field of message.fields) {
    if (!message.isSet(field)) continue;
    if (field.fieldKind === "message") sortMaps(message.get(field));
    if (field.fieldKind === "list" && field.listKind === "message") {
      for (const item of message.get(field)) sortMaps(fromItem(item));
    }
    if (field.fieldKind !== "map") continue;
    const map = message.get(field);
    const entries = new Map([...map].map(([key, value]) => [String(key), [key, value] as const]));
    map.clear();
    for (const name of sortedKeys(Object.fromEntries(entries), false)) {
      const entry = entries.get(name);
      if (entry !== undefined) map.set(entry[0], entry[1]);
      if (entry !== undefined && field.mapKind === "message") sortMaps(fromItem(entry[1]));
    }
  }
}

/** An item of a field of messages is one. */
function fromItem(item: unknown): ReflectMessage {
  return item as ReflectMessage;
}
