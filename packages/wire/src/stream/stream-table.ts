import type { Http2Stream } from "./stream.js";

/** How a stream that is gone came to its end, which decides what its late frames mean (RFC 9113 §5.1, "closed"). */
export const ClosedBy = { nobody: 0, end: 1, resetHere: 2, resetByPeer: 3 } as const;
export type ClosedBy = (typeof ClosedBy)[keyof typeof ClosedBy];

const remembered = 128;

/**
 * The open streams of a connection by id. Ids of one side are odd or even and rise, so a stream lies in a ring at `(id >> 1) & mask`: finding one is a load, and
 * nothing is allocated per stream (a Map of streams cost a third of the time in garbage collection). A stream that is still there when
 * its place is wanted again is a long-lived one and moves to a Map. Of the last 128 that are gone it remembers how they ended.
 */
export class StreamTable {
  #ring: (Http2Stream | undefined)[] = new Array(32).fill(undefined);
  readonly #longLived = new Map<number, Http2Stream>();
  #gone: Float64Array | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): Http2Stream | undefined {
    const stream = this.#ring[(id >> 1) & (this.#ring.length - 1)];
    if (stream !== undefined && stream.id === id) return stream;
    return this.#longLived.size === 0 ? undefined : this.#longLived.get(id);
  }

  add(stream: Http2Stream): void {
    let slot = (stream.id >> 1) & (this.#ring.length - 1);
    const before = this.#ring[slot];
    if (before !== undefined) {
      if (this.#size - this.#longLived.size > this.#ring.length / 2 && this.#ring.length < 4_096) {
        this.#grow();
        slot = (stream.id >> 1) & (this.#ring.length - 1);
      }
      const still = this.#ring[slot];
      if (still !== undefined) this.#longLived.set(still.id, still);
    }
    this.#ring[slot] = stream;
    this.#size += 1;
  }

  remove(id: number, how: ClosedBy): void {
    const slot = (id >> 1) & (this.#ring.length - 1);
    if (this.#ring[slot]?.id === id) this.#ring[slot] = undefined;
    else if (!this.#longLived.delete(id)) return;
    this.#size -= 1;
    this.remember(id, how);
  }

  /** Notes the end of a stream, also of one that was never in the table because it was refused. */
  remember(id: number, how: ClosedBy): void {
    this.#gone ??= new Float64Array(remembered);
    this.#gone[(id >> 1) & (remembered - 1)] = id * 4 + how;
  }

  /** How a stream ended that is not in the table; `nobody` when that is not known any more, or it never was. */
  closedBy(id: number): ClosedBy {
    const entry = this.#gone?.[(id >> 1) & (remembered - 1)] ?? 0;
    if (Math.floor(entry / 4) !== id) return ClosedBy.nobody;
    switch (entry % 4) {
      case ClosedBy.end:
        return ClosedBy.end;
      case ClosedBy.resetHere:
        return ClosedBy.resetHere;
      case ClosedBy.resetByPeer:
        return ClosedBy.resetByPeer;
      default:
        return ClosedBy.nobody;
    }
  }

  /** All open streams, the long-lived first; a copy, so that they may end meanwhile. */
  all(): Http2Stream[] {
    const streams = [...this.#longLived.values()];
    for (const stream of this.#ring) if (stream !== undefined) streams.push(stream);
    return streams.sort((a, b) => a.id - b.id);
  }

  #grow(): void {
    const old = this.#ring;
    this.#ring = new Array(old.length * 2).fill(undefined);
    for (const stream of old) if (stream !== undefined) this.#ring[(stream.id >> 1) & (this.#ring.length - 1)] = stream;
  }
}
