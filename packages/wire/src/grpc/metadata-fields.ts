import type { Metadata, MetadataEntry } from "../metadata.js";
import { isTransportName } from "../transport-names.js";

/** What a metadata name says of its values. */
const NameKind = { text: 0, bytes: 1, transport: 2, invalid: 3 } as const;
type NameKind = (typeof NameKind)[keyof typeof NameKind];

const validName = /^[0-9a-z_.-]+$/;
const validText = /^[\x20-\x7e]*$/;
/** Kinds are remembered, because a process uses few names, for many calls. */
const maxRemembered = 1_024;
const kinds = new Map<string, NameKind>();

function kindOf(name: string): NameKind {
  const known = kinds.get(name);
  if (known !== undefined) return known;
  if (kinds.size >= maxRemembered) kinds.clear();
  const kind = classify(name);
  kinds.set(name, kind);
  return kind;
}

function classify(name: string): NameKind {
  if (isTransportName(name)) return NameKind.transport;
  if (!validName.test(name)) return NameKind.invalid;
  return name.endsWith("-bin") ? NameKind.bytes : NameKind.text;
}

/**
 * Appends metadata as header fields, name and value in turn, without the transport's own names; bytes become base64 without padding (gRPC over HTTP/2, "Custom-Metadata").
 * Returns why it cannot be sent, or `undefined`.
 */
export function metadataToFields(metadata: Metadata, fields: string[]): string | undefined {
  for (const [name, value] of metadata) {
    const kind = kindOf(name);
    if (kind === NameKind.transport) continue;
    if (kind === NameKind.text && typeof value === "string" && validText.test(value)) fields.push(name, value.trim());
    else if (kind === NameKind.bytes && typeof value !== "string") fields.push(name, toBase64(value));
    else return `metadata ${JSON.stringify(name)}: not a name or value of gRPC metadata`;
  }
  return undefined;
}

/** Appends what a header field is as metadata: nothing for the transport's own names and for what is not well-formed. */
export function fieldToMetadata(name: string, value: string, metadata: MetadataEntry[]): void {
  const kind = kindOf(name);
  if (kind === NameKind.text) {
    if (validText.test(value)) metadata.push([name, value]);
  } else if (kind === NameKind.bytes) {
    for (const part of value.split(",")) metadata.push([name, fromBase64(part)]);
  }
}

export function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64").replaceAll("=", "");
}

/** Bytes of their own, without Buffer's methods. Characters outside the alphabet are skipped, as Node does. */
export function fromBase64(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "base64"));
}
