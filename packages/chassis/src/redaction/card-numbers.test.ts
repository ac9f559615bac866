import fc from "fast-check";
import { expect, test } from "vitest";
import { luhnCompleted } from "../testing/luhn-completed.js";
import { isCardNumber, withoutCardNumbers } from "./card-numbers.js";

const luhnNumber = (): fc.Arbitrary<string> =>
  fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 12, maxLength: 18 }).map(luhnCompleted);

const digitsOnly = (text: string): string => text.replace(/\D/g, "");

test("a card number is found in no text around it, however it is written", () => {
  fc.assert(
    fc.property(luhnNumber(), fc.string(), fc.string(), fc.constantFrom("", " ", "-"), (card, before, after, gap) => {
      const written = card.match(/.{1,4}/g)?.join(gap) ?? card;
      const safe = withoutCardNumbers(`${before}${written}${after}`);
      expect(safe).not.toContain(written);
      expect(digitsOnly(safe)).not.toContain(card);
    }),
    { numRuns: 2_000 },
  );
});

test("text around the number stays", () => {
  expect(withoutCardNumbers("card 4111 1111 1111 1111 declined")).toBe("card [card] declined");
  expect(withoutCardNumbers("a 4111-1111-1111-1111, b 5500000000000004.")).toBe("a [card], b [card].");
});

test("ids, dates and short numbers stay", () => {
  for (const text of [
    "2024-11-24 13:55:02.123",
    "port 8080, 1234567 bytes",
    "4bf92f3577b34da6a3ce929d0e0e4736",
    "span 00f067aa0ba902b7 and 123e4567-e89b-12d3-a456-426614174000",
  ])
    expect(withoutCardNumbers(text)).toBe(text);
});

test("a number counts as a card only when it looks like one of a payment network", () => {
  expect(isCardNumber(4_111_111_111_111_111)).toBe(true);
  expect(isCardNumber(4_111_111_111_111_111n)).toBe(true);
  expect(isCardNumber(1_700_000_000_003)).toBe(false);
  expect(isCardNumber(0.5)).toBe(false);
});

test("long texts of digits take linear time", () => {
  const text = "1 ".repeat(200_000);
  expect(withoutCardNumbers(text).length).toBeGreaterThan(0);
});
