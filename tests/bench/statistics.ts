/** The value below which `share` of the samples lie; 0 for none. */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}

/** The middle value; 0 for none. */
export function median(samples: readonly number[]): number {
  return quantile(samples, 0.5);
}
