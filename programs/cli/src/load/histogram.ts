/** A power of two is split into so many buckets, so that no value is further than 1/128 from what its bucket stands for. */
const bucketsPerOctave = 128;
const octaveBits = 7;
/** Values are microseconds in 32 bits: up to 71 minutes. What takes longer is counted as that. */
const mostMicros = 2 ** 32 - 1;
const buckets = (32 - octaveBits + 1) * bucketsPerOctave;

/**
 * Counts durations in buckets that grow with the value: 26 KB however many are recorded, and quantiles that are at most 0.8 % above the exact ones.
 */
export class Histogram {
  readonly #counts = new Float64Array(buckets);
  #count = 0;
  #maxMicros = 0;

  get count(): number {
    return this.#count;
  }

  get maxMs(): number {
    return this.#maxMicros / 1_000;
  }

  record(durationMs: number): void {
    const micros = Math.min(mostMicros, Math.max(0, Math.round(durationMs * 1_000)));
    const bucket = bucketOf(micros);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#count += 1;
    if (micros > this.#maxMicros) this.#maxMicros = micros;
  }

  /** The smallest duration that at least this share (0 to 1) of the recorded ones do not exceed, in milliseconds; 0 when there are none. */
  quantileMs(share: number): number {
    if (this.#count === 0) return 0;
    const rank = Math.min(this.#count, Math.max(1, Math.ceil(share * this.#count)));
    let seen = 0;
    for (const [bucket, count] of this.#counts.entries()) {
      seen += count;
      if (seen >= rank) return Math.min(highestOf(bucket), this.#maxMicros) / 1_000;
    }
    return this.maxMs;
  }

  /** Counts what another has counted too. */
  add(other: Histogram): void {
    for (const [bucket, count] of other.#counts.entries()) {
      if (count > 0) this.#counts[bucket] = (this.#counts[bucket] ?? 0) + count;
    }
    this.#count += other.#count;
    this.#maxMicros = Math.max(this.#maxMicros, other.#maxMicros);
  }

  clear(): void {
    if (this.#count === 0) return;
    this.#counts.fill(0);
    this.#count = 0;
    this.#maxMicros = 0;
  }
}

/** Small values have a bucket each; above, the leading bits of the value are its place within its octave. */
function bucketOf(micros: number): number {
  if (micros < bucketsPerOctave) return micros;
  const shift = 31 - Math.clz32(micros) - octaveBits;
  return shift * bucketsPerOctave + (micros >>> shift);
}

/** The highest value that falls into a bucket. */
function highestOf(bucket: number): number {
  if (bucket < 2 * bucketsPerOctave) return bucket;
  const shift = Math.floor(bucket / bucketsPerOctave) - 1;
  const place = bucket - shift * bucketsPerOctave;
  return (place + 1) * 2 ** shift - 1;
}
