/** What stands in place of a card number. */
export const cardPlaceholder = "[card]";

const shortest = 13;
const longest = 19;

/** Digits with at most one space or dash between two of them: the ways people write a card number. */
const digitRun = /\d(?:[ -]?\d){12,}/g;
const hexToken = /^(?:[0-9a-f]{32}|[0-9a-f]{64}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i;

/**
 * Replaces every digit sequence that could be a card number: 13 to 19 digits, with or without single spaces or dashes, that satisfy the
 * Luhn check (ISO/IEC 7812-1), wherever it stands, inside a longer run of digits too. Some numbers that are no cards go with them: what must
 * not leak outweighs what would be nice to read. Trace ids and UUIDs that hold letters are left alone.
 */
export function withoutCardNumbers(text: string): string {
  if (text.length < shortest) return text;
  return text.replace(digitRun, (run: string, at: number) =>
    isIdentifier(text, at, at + run.length) ? run : withoutCardsInRun(run),
  );
}

/** True for a whole number that could be a card: its digits pass the check and it starts as cards of payment networks do (2 to 6). */
export function isCardNumber(value: number | bigint): boolean {
  const digits = value.toString();
  if (!/^[2-6]\d{12,18}$/.test(digits)) return false;
  let sum = 0;
  for (let index = digits.length - 1; index >= 0; index--) sum += weight(digits, index, digits.length - index);
  return sum % 10 === 0;
}

function withoutCardsInRun(run: string): string {
  const digits = run.replace(/[ -]/g, "");
  const hidden = new Uint8Array(digits.length);
  for (let end = shortest; end <= digits.length; end++) {
    let sum = 0;
    for (let length = 1; length <= longest && length <= end; length++) {
      sum += weight(digits, end - length, length);
      if (length >= shortest && sum % 10 === 0) hidden.fill(1, end - length, end);
    }
  }
  let out = "";
  let index = 0;
  let inside = false;
  for (const char of run) {
    const isDigit = char >= "0" && char <= "9";
    const hide: boolean = isDigit ? hidden[index++] === 1 : inside && hidden[index] === 1;
    if (!hide) out += char;
    else if (!inside) out += cardPlaceholder;
    inside = hide;
  }
  return out;
}

/** What the digit at `index` adds to the Luhn sum when it is the `place`-th from the right, counted from 1. */
function weight(digits: string, index: number, place: number): number {
  const digit = digits.charCodeAt(index) - 48;
  if (place % 2 === 1) return digit;
  return digit > 4 ? digit * 2 - 9 : digit * 2;
}

/** True when the run is part of a hex id or UUID that has letters, which stands by itself. */
function isIdentifier(text: string, start: number, end: number): boolean {
  const limit = 64;
  let from = start;
  let to = end;
  while (from > 0 && to - from <= limit && /[0-9a-zA-Z_-]/.test(text.charAt(from - 1))) from--;
  while (to < text.length && to - from <= limit && /[0-9a-zA-Z_-]/.test(text.charAt(to))) to++;
  const token = text.slice(from, to);
  return hexToken.test(token) && /[a-f]/i.test(token);
}
