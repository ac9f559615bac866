const factors: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** A Kubernetes quantity (`250m`, `1.5`, `64Mi`, `1e3`) in whole thousandths, rounded up as Kubernetes does; `undefined` for no quantity. */
export function parseMilli(text: unknown): number | undefined {
  const found = /^([+-]?(?:\d+\.?\d*|\.\d+))([eE][+-]?\d+|[numkMGTPE]|[KMGTPE]i)?$/.exec(String(text));
  if (found === null) return undefined;
  const [, digits = "", suffix = ""] = found;
  const exponent = /^[eE][+-]?\d+$/.test(suffix);
  const value = Number(exponent ? digits + suffix : digits) * (exponent ? 1 : (factors[suffix] ?? Number.NaN));
  // Products of decimal fractions miss whole thousandths by a hair.
  const milli = Math.ceil(Number((value * 1_000).toPrecision(15)));
  return Number.isFinite(milli) ? milli : undefined;
}

/** Thousandths in the shortest form that is exact: `2`, `1500m`. */
export function formatMilli(milli: number): string {
  return milli % 1_000 === 0 ? String(milli / 1_000) : `${milli}m`;
}
