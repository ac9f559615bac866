/** The digits with the one behind them that satisfies the Luhn check (ISO/IEC 7812-1): what a card number looks like. */
export function luhnCompleted(digits: readonly number[]): string {
  let sum = 0;
  for (const [index, value] of [...digits].reverse().entries()) {
    const doubled = index % 2 === 0 ? value * 2 : value;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return [...digits, (10 - (sum % 10)) % 10].join("");
}
