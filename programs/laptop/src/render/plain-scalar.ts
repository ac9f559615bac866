import type { ScalarValue } from "./node.js";

const nulls = new Set(["", "~", "null", "Null", "NULL"]);
const booleans = new Map([
  ["true", true],
  ["True", true],
  ["TRUE", true],
  ["false", false],
  ["False", false],
  ["FALSE", false],
]);
const integer = /^([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))$/;
const decimal = /^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$/;
const infinite = /^([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$/;
const moment =
  /^(\d{4})-(\d{1,2})-(\d{1,2})(?:(?:[Tt]|[ \t]+)(\d{1,2}):(\d{1,2}):(\d{1,2})(\.\d{1,9})?(Z|[ \t]*[-+]\d{2}:\d{2})?)?$/;

/** What an unquoted scalar turned out to be. */
export type PlainScalar = { readonly ok: true; readonly value: ScalarValue } | { readonly ok: false };

/**
 * What an unquoted scalar means to kustomize, which reads YAML 1.2 with some of 1.1: `yes` and `on` are text, `0644` is octal,
 * `1_000` is a number, and a date becomes the text of its moment. A number that JSON or a double cannot hold is refused.
 */
export function resolvePlain(text: string): PlainScalar {
  if (nulls.has(text)) return { ok: true, value: undefined };
  const truth = booleans.get(text);
  if (truth !== undefined) return { ok: true, value: truth };
  if (infinite.test(text)) return { ok: false };
  if (!/^[-+.0-9]/.test(text)) return { ok: true, value: text };
  const date = momentText(text);
  if (date !== undefined) return { ok: true, value: date };
  const digits = text.replaceAll("_", "");
  const whole = integer.exec(digits);
  if (whole !== null) {
    const [, sign, hex, binary, octal, plain] = whole;
    const size =
      hex !== undefined
        ? Number.parseInt(hex, 16)
        : binary !== undefined
          ? Number.parseInt(binary, 2)
          : octal !== undefined
            ? Number.parseInt(octal, 8)
            : Number(plain);
    return Number.isSafeInteger(size) ? { ok: true, value: sign === "-" ? 0 - size : size } : { ok: false };
  }
  if (decimal.test(digits)) {
    const value = Number(digits);
    return Number.isFinite(value) ? { ok: true, value } : { ok: false };
  }
  return { ok: true, value: text };
}

function momentText(text: string): string | undefined {
  const found = moment.exec(text);
  if (found === null) return undefined;
  const [, year = "", month = "", day = "", hour = "0", minute = "0", second = "0", fraction = "", zone = "Z"] = found;
  const two = (part: string): string => part.padStart(2, "0");
  const local = `${year}-${two(month)}-${two(day)}T${two(hour)}:${two(minute)}:${two(second)}`;
  const exists = new Date(`${local}Z`);
  if (Number.isNaN(exists.valueOf()) || !exists.toISOString().startsWith(local)) return undefined;
  const digits = fraction.replace(/\.?0+$/, "");
  return `${local}${digits}${zone.trim().replace(/^[-+]00:00$/, "Z")}`;
}
