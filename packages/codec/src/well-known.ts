import type { JsonValue } from "@bufbuild/protobuf";
import type { LocalMessage, MessageType } from "./message-type.js";
import type { LocalForm } from "./plan.js";

// How protobuf-es keeps some messages in fields: wrappers as what they wrap, google.protobuf.Struct as a JSON object.

/** A field's value as the message that is written. */
export function toMessage(type: MessageType, as: LocalForm, local: unknown): LocalMessage {
  switch (as) {
    case "message":
      return fromLocal(local);
    case "wrapper":
      return { $typeName: type.desc.typeName, value: local };
    case "json":
      // Anything but an object is refused by whoever writes it.
      return isObject(local) ? structMessage(local) : fromLocal(local);
  }
}

/** A message that was read as the field's value. */
export function toLocal(as: LocalForm, message: LocalMessage): unknown {
  if (as === "wrapper") return message["value"];
  if (as === "json") return jsonOfStruct(fromStruct(message));
  return message;
}

/** What stands where a message is expected; encoders check its type name. */
function fromLocal(local: unknown): LocalMessage {
  return local as LocalMessage;
}

interface Struct {
  readonly fields: Readonly<Record<string, Value>>;
}

interface Value {
  readonly kind:
    | { readonly case: "numberValue" | "stringValue" | "boolValue"; readonly value: number | string | boolean }
    | { readonly case: "nullValue" | undefined }
    | { readonly case: "structValue"; readonly value: Struct }
    | { readonly case: "listValue"; readonly value: { readonly values: readonly Value[] } };
}

function fromStruct(message: unknown): Struct {
  return message as Struct;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function structMessage(json: Record<string, unknown>): LocalMessage {
  const fields: Record<string, unknown> = {};
  for (const key of Object.keys(json)) setEntry(fields, key, valueMessage(json[key]));
  return { $typeName: "google.protobuf.Struct", fields };
}

function valueMessage(json: unknown): LocalMessage {
  return { $typeName: "google.protobuf.Value", kind: kindOf(json) };
}

function kindOf(json: unknown): object {
  if (typeof json === "number") return { case: "numberValue", value: json };
  if (typeof json === "string") return { case: "stringValue", value: json };
  if (typeof json === "boolean") return { case: "boolValue", value: json };
  if (json === null) return { case: "nullValue", value: 0 };
  if (Array.isArray(json)) {
    return { case: "listValue", value: { $typeName: "google.protobuf.ListValue", values: json.map(valueMessage) } };
  }
  return isObject(json) ? { case: "structValue", value: structMessage(json) } : { case: undefined };
}

function jsonOfStruct(struct: Struct): Record<string, JsonValue> {
  const json: Record<string, JsonValue> = {};
  for (const [key, value] of Object.entries(struct.fields)) setEntry(json, key, jsonOfValue(value));
  return json;
}

function jsonOfValue({ kind }: Value): JsonValue {
  switch (kind.case) {
    case "structValue":
      return jsonOfStruct(kind.value);
    case "listValue":
      return kind.value.values.map(jsonOfValue);
    case "nullValue":
    case undefined:
      return null;
    default:
      return kind.value;
  }
}

/** Sets an entry of a map. `__proto__` is a key like all others: assigned, it would not be kept, or change what the map inherits. */
export function setEntry<T>(map: Record<string, T>, key: string, value: T): void {
  if (key === "__proto__") {
    Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true });
  } else {
    map[key] = value;
  }
}

/** The keys of a map in an order that its contents decide alone: numbers by value, texts by code point. */
export function sortedKeys(map: Readonly<Record<string, unknown>>, numeric: boolean): string[] {
  return Object.keys(map).sort(numeric ? byValue : byCodePoint);
}

function byValue(a: string, b: string): number {
  if (a.length < 16 && b.length < 16) return Number(a) - Number(b);
  const left = BigInt(a);
  const right = BigInt(b);
  return left < right ? -1 : left > right ? 1 : 0;
}

function byCodePoint(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length);
  for (let i = 0; i < shorter; i += 1) {
    const left = a.charCodeAt(i);
    const right = b.charCodeAt(i);
    if (left !== right) return rank(left) - rank(right);
  }
  return a.length - b.length;
}

/** Puts surrogates, which stand for code points above all others, last. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit < 0xe000 ? unit + 0x1_0000 : unit;
}
