import { deepStrictEqual } from "node:assert/strict";
import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";

/**
 * Whether a message is what protobuf-es reads. One difference is wanted: protobuf-es forgets an unknown value of a closed enum when the message has
 * an unknown field too, and so only fields that the type does not have are compared among the unknown.
 */
export function assertSameMessage(desc: DescMessage, ours: Message, theirs: Message): void {
  const { $unknown: ourUnknown, ...ourFields } = ours;
  const { $unknown: theirUnknown, ...theirFields } = theirs;
  const known = new Set(desc.fields.map((field) => field.number));
  const foreign = (fields: Message["$unknown"]) => (fields ?? []).filter((field) => !known.has(field.no));
  deepStrictEqual(foreign(ourUnknown), foreign(theirUnknown));
  deepStrictEqual(Object.getPrototypeOf(ours), Object.getPrototypeOf(theirs));
  deepStrictEqual(new Set(Object.keys(ourFields)), new Set(Object.keys(theirFields)));
  for (const member of desc.members) {
    const our = own(ours, member.localName);
    const their = own(theirs, member.localName);
    if (member.kind === "field") {
      assertSameValue(member, our, their);
      continue;
    }
    const [ourOneof, theirOneof] = [parseOneof(our), parseOneof(their)];
    deepStrictEqual(ourOneof.case, theirOneof.case);
    const field = member.fields.find((one) => one.localName === ourOneof.case);
    if (field !== undefined) assertSameValue(field, ourOneof.value, theirOneof.value);
  }
}

function assertSameValue(field: DescField, ours: unknown, theirs: unknown): void {
  if (field.message === undefined || !holdsMessages(ours) || !holdsMessages(theirs)) {
    deepStrictEqual(ours, theirs);
    return;
  }
  if (field.fieldKind === "message") {
    assertSameMessages(field.message, [ours], [theirs]);
    return;
  }
  deepStrictEqual(Object.keys(ours), Object.keys(theirs));
  assertSameMessages(field.message, Object.values(ours), Object.values(theirs));
}

function assertSameMessages(desc: DescMessage, ours: readonly unknown[], theirs: readonly unknown[]): void {
  for (const [index, our] of ours.entries()) {
    const their = theirs[index];
    // A Struct is JSON, a wrapper the value that it wraps.
    if (isMessage(our) && isMessage(their)) assertSameMessage(desc, our, their);
    else deepStrictEqual(our, their);
  }
}

function holdsMessages(value: unknown): value is object {
  return typeof value === "object" && value !== null && !(value instanceof Uint8Array);
}

function isMessage(value: unknown): value is Message {
  return holdsMessages(value) && Object.hasOwn(value, "$typeName");
}

function own(message: Message, name: string): unknown {
  return Object.getOwnPropertyDescriptor(message, name)?.value;
}

function parseOneof(value: unknown): { readonly case?: string; readonly value?: unknown } {
  return typeof value === "object" && value !== null ? (value as { case?: string; value?: unknown }) : {};
}
