import { type DescField, type DescMessage, type DescMethod, getOption, ScalarType } from "@bufbuild/protobuf";
import { sensitive } from "@weft/contracts/weft/options/v1";
import fc from "fast-check";

/** A number as cards have them: its digits, and how somebody writes it. */
export interface TypedNumber {
  readonly digits: string;
  readonly text: string;
}

/** Card numbers that pass the Luhn check (ISO/IEC 7812-1), 13 to 19 digits, written plainly, in groups, or within a sentence. */
export const typedNumbers: fc.Arbitrary<TypedNumber> = fc
  .record({
    first: fc.integer({ min: 2, max: 6 }),
    rest: fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 11, maxLength: 17 }),
    gap: fc.constantFrom("", " ", "-"),
    sentence: fc.boolean(),
  })
  .map(({ first, rest, gap, sentence }) => {
    const digits = withCheckDigit([first, ...rest]);
    const written = written4(digits, gap);
    return { digits, text: sentence ? `mine is ${written}, thanks` : written };
  });

/** The ways in which a number may be found again. */
export function formsOf(digits: string): readonly string[] {
  return [digits, written4(digits, " "), written4(digits, "-")];
}

function written4(digits: string, gap: string): string {
  return digits.match(/.{1,4}/g)?.join(gap) ?? digits;
}

function withCheckDigit(digits: readonly number[]): string {
  const sum = digits.toReversed().reduce((total, digit, index) => {
    const value = index % 2 === 0 ? digit * 2 : digit;
    return total + (value > 9 ? value - 9 : value);
  }, 0);
  return [...digits, (10 - (sum % 10)) % 10].join("");
}

/** One place in a request into which something can be typed. */
export interface Place {
  /** Such as `delivery.address.city`. */
  readonly path: string;
  readonly sensitive: boolean;
  /** The request with the number there, and what is usual everywhere else. */
  fill(number: TypedNumber): Record<string, unknown>;
}

/** What is usual in a field, by its name in TypeScript; what is not named is left out, or 1. */
export type Usual = Readonly<Record<string, string | number | bigint>>;

type Init = Record<string, unknown>;

/** Fields of which exactly one is to be set. */
const alternatives = [
  ["paymentId", "authorizeKey"],
  ["labelId", "labelKey"],
  ["reservationId", "reserveKey"],
  ["refundId", "refundKey"],
];

const deepest = 6;

/** Every place of a method's request that takes a text, bytes or a number that is long enough: nested, in lists and in maps too. */
export function placesOf(method: DescMethod, usual: Usual): readonly Place[] {
  return placesIn(method.input, usual, 0);
}

function placesIn(message: DescMessage, usual: Usual, depth: number): readonly Place[] {
  if (depth > deepest) return [];
  return message.fields.flatMap((field) => {
    const around = (value: unknown): Init => ({ ...usualOf(message, usual, depth, field), ...setting(field, value) });
    const isSensitive = getOption(field, sensitive);
    const nested = (inner: DescMessage, wrap: (value: unknown) => unknown): readonly Place[] =>
      placesIn(inner, usual, depth + 1).map((place) => ({
        path: `${field.localName}.${place.path}`,
        sensitive: place.sensitive || isSensitive,
        fill: (number) => around(wrap(place.fill(number))),
      }));
    const leaf = (scalar: ScalarType, wrap: (value: unknown) => unknown): readonly Place[] => {
      const value = typedInto(scalar);
      if (value === undefined) return [];
      return [
        {
          path: field.localName,
          sensitive: isSensitive,
          fill: (number: TypedNumber): Init => around(wrap(value(number))),
        },
      ];
    };
    switch (field.fieldKind) {
      case "scalar":
        return leaf(field.scalar, (value) => value);
      case "message":
        return nested(field.message, (value) => value);
      case "list":
        if (field.listKind === "scalar") return leaf(field.scalar, (value) => [value]);
        return field.listKind === "message" ? nested(field.message, (value) => [value]) : [];
      case "map": {
        const keys = field.mapKey === ScalarType.STRING ? leaf(field.mapKey, (key) => ({ [String(key)]: "" })) : [];
        if (field.mapKind === "scalar") return [...keys, ...leaf(field.scalar, (value) => ({ key: value }))];
        return field.mapKind === "message" ? [...keys, ...nested(field.message, (value) => ({ key: value }))] : keys;
      }
      default:
        return [];
    }
  });
}

/** How a number is typed into a field of this kind; nothing where it has no room. */
function typedInto(scalar: ScalarType): ((number: TypedNumber) => unknown) | undefined {
  switch (scalar) {
    case ScalarType.STRING:
      return ({ text }) => text;
    case ScalarType.BYTES:
      return ({ text }) => new TextEncoder().encode(text);
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.SINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      // The longest begin with 6 at most, which fits.
      return ({ digits }) => BigInt(digits);
    case ScalarType.DOUBLE:
      return ({ digits }) => Number(digits);
    default:
      return undefined;
  }
}

/** A message as it usually is, all but one field of it. */
export function usualOf(message: DescMessage, usual: Usual, depth = 0, without?: DescField): Init {
  const other = alternatives.find((pair) => pair.includes(without?.localName ?? "")) ?? [];
  const init: Init = {};
  for (const field of message.fields) {
    if (field === without || other.includes(field.localName) || depth > deepest) continue;
    const known = usual[field.localName];
    if (field.fieldKind === "scalar" && known !== undefined) Object.assign(init, setting(field, known));
    if (field.fieldKind === "enum")
      Object.assign(init, setting(field, field.enum.values.find(({ number }) => number > 0)?.number ?? 0));
    if (field.fieldKind === "message") Object.assign(init, setting(field, usualOf(field.message, usual, depth + 1)));
    if (field.fieldKind === "list" && field.listKind === "message")
      Object.assign(init, setting(field, [usualOf(field.message, usual, depth + 1)]));
    if (field.fieldKind === "list" && field.listKind === "scalar" && known !== undefined)
      Object.assign(init, setting(field, [known]));
  }
  return init;
}

function setting(field: DescField, value: unknown): Init {
  const { oneof } = field;
  return oneof === undefined ? { [field.localName]: value } : { [oneof.localName]: { case: field.localName, value } };
}
