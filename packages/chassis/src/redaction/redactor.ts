import {
  createRegistry,
  type DescField,
  type DescFile,
  type DescMessage,
  getOption,
  isMessage,
  type Message,
  type Registry,
} from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { sensitive } from "@weft/contracts/weft/options/v1";
import { Secret } from "../config/secret.js";
import { cardPlaceholder, isCardNumber, withoutCardNumbers } from "./card-numbers.js";

/** What stands in place of a secret value. */
export const redacted = "[redacted]";

/** Makes values safe to log, trace, count or send: invariant "no secret and no card number leaks". */
export interface Redactor {
  /** Teaches the message types of these files. A message of a type never taught shows as its name alone. */
  learn(...files: readonly DescFile[]): void;
  /** The text without card numbers. */
  text(value: string): string;
  /**
   * A plain copy of any value: messages without their `sensitive` fields, values under keys such as `authorization` replaced, card
   * numbers removed from strings, errors as their name, message, code, stack and cause. Bounded in depth and size.
   */
  value(value: unknown): unknown;
}

const secretKey =
  /^(?:.*[-_.])?(?:authorization|cookie|set-cookie|password|passwd|passphrase|secret|token|credential|credentials|api[-_]?key|private[-_]?key|data[-_]?key|client[-_]?secret|access[-_]?token|refresh[-_]?token|id[-_]?token|cvc|cvv|pan|card[-_]?number)$/i;
const maxDepth = 8;
const maxItems = 200;
const maxText = 16_384;

/** True for a key whose value is never shown, `authorization` and `db_password` among them; camel case counts as words. */
export function isSecretKey(key: string): boolean {
  return secretKey.test(key.replace(/([a-z0-9])([A-Z])/g, "$1_$2"));
}

/** Makes a redactor that knows no message types yet. */
export function createRedactor(): Redactor {
  let registry: Registry = createRegistry();

  const text = (value: string): string =>
    withoutCardNumbers(value.length > maxText ? `${value.slice(0, maxText)}…` : value);

  const scalar = (value: number | bigint): unknown => {
    if (isCardNumber(value)) return cardPlaceholder;
    return typeof value === "bigint" ? value.toString() : value;
  };

  const copy = (value: unknown, depth: number, above: ReadonlySet<object>): unknown => {
    if (typeof value === "string") return text(value);
    if (typeof value === "number" || typeof value === "bigint") return scalar(value);
    if (typeof value === "function" || typeof value === "symbol") return `[${typeof value}]`;
    if (typeof value !== "object" || value === null) return value;
    if (above.has(value)) return "[circular]";
    if (depth > maxDepth) return "[…]";
    const path = new Set(above).add(value);
    const below = (inner: unknown): unknown => copy(inner, depth + 1, path);
    if (value instanceof Secret) return redacted;
    if (value instanceof Error) return copyError(value, below);
    if (value instanceof Uint8Array) return `[${value.byteLength} bytes]`;
    if (value instanceof Date) return Number.isNaN(value.getTime()) ? "[invalid date]" : value.toISOString();
    if (value instanceof URL) return text(withoutUserInfo(value));
    if (isMessage(value)) return copyMessage(value, below);
    if (Array.isArray(value)) return value.slice(0, maxItems).map(below);
    if (value instanceof Map) return copyEntries(value.entries(), below);
    if (value instanceof Set) return [...value].slice(0, maxItems).map(below);
    return copyEntries(Object.entries(value), below);
  };

  const copyEntries = (entries: Iterable<[unknown, unknown]>, below: (value: unknown) => unknown): unknown => {
    const out: Record<string, unknown> = {};
    let count = 0;
    for (const [key, value] of entries) {
      if (++count > maxItems) break;
      const name = String(key);
      out[text(name)] = isSecretKey(name) ? redacted : below(value);
    }
    return out;
  };

  const copyError = (error: Error, below: (value: unknown) => unknown): unknown => ({
    type: error.name,
    message: text(error.message),
    ...("code" in error ? { code: below(error.code) } : {}),
    ...(error.stack === undefined ? {} : { stack: text(error.stack) }),
    ...(error.cause === undefined ? {} : { cause: below(error.cause) }),
    ...(error instanceof AggregateError ? { errors: error.errors.slice(0, maxItems).map(below) } : {}),
  });

  const copyMessage = (message: Message, below: (value: unknown) => unknown): unknown => {
    const desc = registry.getMessage(message.$typeName);
    if (desc === undefined) return { $typeName: message.$typeName };
    return copyFields(desc, reflect(desc, message), below);
  };

  const copyFields = (desc: DescMessage, message: ReflectMessage, below: (value: unknown) => unknown): unknown => {
    const out: Record<string, unknown> = {};
    for (const field of desc.fields) {
      if (!message.isSet(field)) continue;
      out[field.localName] = isSensitive(field) || isSecretKey(field.name) ? redacted : below(plain(message, field));
    }
    return out;
  };

  return {
    learn(...files) {
      registry = createRegistry(registry, ...withDependencies(files));
    },
    text,
    value: (value) => copy(value, 0, new Set()),
  };
}

/** True when the contract marks the field as one that must be found nowhere but in its reply. */
export function isSensitive(field: DescField): boolean {
  return getOption(field, sensitive);
}

function withDependencies(files: readonly DescFile[]): Iterable<DescFile> {
  const all = new Set(files);
  // A set also visits what is added while it is walked.
  for (const file of all) for (const dependency of file.dependencies) all.add(dependency);
  return all;
}

function plain(message: ReflectMessage, field: DescField): unknown {
  const value = message.get(field);
  switch (field.fieldKind) {
    case "message":
      return messageIn(value);
    case "list":
      return [...fromIterable(value)].map((item) => messageIn(item));
    case "map":
      return new Map([...fromEntries(value)].map(([key, item]) => [key, messageIn(item)]));
    case "enum":
      return field.enum.value[fromNumber(value)]?.name ?? value;
    case "scalar":
      return value;
  }
}

/** Reflection wraps messages; the message itself is what the copier knows. */
function messageIn(value: unknown): unknown {
  return typeof value === "object" && value !== null && "message" in value && "desc" in value ? value.message : value;
}

function fromIterable(value: unknown): Iterable<unknown> {
  return value as Iterable<unknown>;
}

function fromEntries(value: unknown): Iterable<[unknown, unknown]> {
  return value as Iterable<[unknown, unknown]>;
}

function fromNumber(value: unknown): number {
  return value as number;
}

function withoutUserInfo(url: URL): string {
  if (url.username === "" && url.password === "") return url.href;
  const copy = new URL(url.href);
  copy.username = "";
  copy.password = "";
  return copy.href;
}
