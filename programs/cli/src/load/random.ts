/** Numbers in [0, 1), the same for the same seed. */
export type Random = () => number;

/** Numbers that look random and follow from the seeds alone: a counter that is stirred (Weyl sequence with an avalanche of 32 bits). */
export function seededRandom(...seeds: readonly number[]): Random {
  let state = 0x9e3779b9;
  for (const seed of seeds) state = stir(state ^ stir(seed | 0)) | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    return stir(state) / 2 ** 32;
  };
}

function stir(value: number): number {
  let bits = value;
  bits = Math.imul(bits ^ (bits >>> 16), 0x21f0aaad);
  bits = Math.imul(bits ^ (bits >>> 15), 0x735a2d97);
  return (bits ^ (bits >>> 15)) >>> 0;
}

/** Waits between things that happen independently of each other, with this mean. */
export function exponential(random: Random, mean: number): number {
  return -Math.log(1 - random()) * mean;
}

/** A whole number from `least` to `most`, both included. */
export function between(random: Random, least: number, most: number): number {
  return least + Math.floor(random() * (most - least + 1));
}

/** What lies at this share (0 to 1) of a list; nothing in an empty one. */
export function at<T>(list: readonly T[], share: number): T | undefined {
  return list[Math.min(list.length - 1, Math.floor(share * list.length))];
}
