/** Milliseconds of each unit of `grpc-timeout` (gRPC over HTTP/2, "Timeout"). */
const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 0.001, n: 0.000_001 };
const largestAmount = 99_999_999;

/** The value of `grpc-timeout`: at most eight digits and a unit; what is shorter than a microsecond is one. */
export function encodeTimeout(timeoutMs: number): string {
  if (timeoutMs >= 1 && timeoutMs <= largestAmount) return `${Math.floor(timeoutMs)}m`;
  if (timeoutMs < 1) return `${Math.max(1, Math.floor(timeoutMs * 1_000))}u`;
  for (const unit of ["S", "M"]) {
    const amount = Math.floor(timeoutMs / (unitMs[unit] ?? 1));
    if (amount <= largestAmount) return `${amount}${unit}`;
  }
  return `${Math.min(largestAmount, Math.floor(timeoutMs / 3_600_000))}H`;
}

/** Milliseconds, or `undefined` when it is not a timeout. */
export function decodeTimeout(text: string): number | undefined {
  const digits = text.length - 1;
  if (digits < 1 || digits > 8) return undefined;
  let amount = 0;
  for (let i = 0; i < digits; i += 1) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return undefined;
    amount = amount * 10 + digit;
  }
  const unit = unitMs[text.charAt(digits)];
  return unit === undefined ? undefined : amount * unit;
}
