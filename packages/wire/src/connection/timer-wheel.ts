import type { Clock, Timer } from "@weft/foundation";

/** Something that is to happen at a time unless it is called off. Its links belong to the wheel; an entry is in one wheel at most once. */
export interface WheelEntry {
  /** By the clock of the wheel. */
  expiresAtMs: number;
  wheelNext: WheelEntry | undefined;
  wheelPrevious: WheelEntry | undefined;
  expired(): void;
}

/** The finest step. An entry expires at most this much, and a turn of the event loop, after its time. */
const tickMs = 4;
const slotBits = 6;
const slots = 1 << slotBits;
const levels = 6;

/** The head of a circular list of entries. */
class Slot implements WheelEntry {
  expiresAtMs = 0;
  wheelNext: WheelEntry = this;
  wheelPrevious: WheelEntry = this;
  expired(): void {}
}

/**
 * Deadlines of many calls with one timer (a hierarchical timing wheel): entering and calling off cost a few stores, whatever the number of entries.
 * Level 0 has 64 slots of one tick, each level above slots 64 times as wide. An entry waits in the level that its distance needs; when its
 * slot comes up, it moves to a finer one, or expires. The timer is set to the next slot that holds anything.
 */
export class TimerWheel implements Disposable {
  readonly #clock: Clock;
  readonly #startMs: number;
  readonly #levels: readonly (Slot | undefined)[][] = Array.from({ length: levels }, () =>
    new Array(slots).fill(undefined),
  );
  #nowTick = 0;
  #timer: Timer | undefined;
  #timerTick = Number.POSITIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startMs = clock.nowMs();
  }

  /** Lets `entry.expired()` be called in `delayMs`, and not before. */
  add(entry: WheelEntry, delayMs: number): void {
    entry.expiresAtMs = this.#clock.nowMs() + delayMs;
    if (this.#timer === undefined) this.#nowTick = Math.max(this.#nowTick, this.#tickOf(this.#clock.nowMs()));
    this.#arm(this.#place(entry));
  }

  /** Calls an entry off; one that is not in the wheel is left as it is. */
  remove(entry: WheelEntry): void {
    const { wheelNext, wheelPrevious } = entry;
    if (wheelNext === undefined || wheelPrevious === undefined) return;
    wheelPrevious.wheelNext = wheelNext;
    wheelNext.wheelPrevious = wheelPrevious;
    entry.wheelNext = undefined;
    entry.wheelPrevious = undefined;
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#timerTick = Number.POSITIVE_INFINITY;
  }

  #tickOf(ms: number): number {
    return Math.floor((ms - this.#startMs) / tickMs);
  }

  /** Puts an entry into its slot; returns the tick at which that slot comes up. */
  #place(entry: WheelEntry): number {
    const due = Math.max(this.#nowTick + 1, Math.ceil((entry.expiresAtMs - this.#startMs) / tickMs));
    let level = 0;
    let width = 1;
    while (level < levels - 1 && due - this.#nowTick >= width * slots) {
      level += 1;
      width *= slots;
    }
    // Of a wider slot the beginning counts: there its entries move to finer ones. One beyond the last level goes round again.
    const number = Math.min(Math.floor(due / width), Math.floor(this.#nowTick / width) + slots - 1);
    const slot = this.#slot(level, number & (slots - 1));
    const last = slot.wheelPrevious;
    entry.wheelPrevious = last;
    entry.wheelNext = slot;
    last.wheelNext = entry;
    slot.wheelPrevious = entry;
    return number * width;
  }

  #slot(level: number, index: number): Slot {
    const row = this.#levels[level] ?? [];
    const known = row[index];
    if (known !== undefined) return known;
    const slot = new Slot();
    row[index] = slot;
    return slot;
  }

  #arm(tick: number): void {
    if (tick >= this.#timerTick) return;
    this.#timer?.[Symbol.dispose]();
    this.#timerTick = tick;
    const delayMs = Math.max(0, this.#startMs + tick * tickMs - this.#clock.nowMs());
    this.#timer = this.#clock.after(delayMs, () => this.#turn());
    this.#timer.unref();
  }

  /** Brings the wheel up to now: what is due expires, what is nearer than its slot's width moves to a finer one. */
  #turn(): void {
    this.#timer = undefined;
    this.#timerTick = Number.POSITIVE_INFINITY;
    const now = this.#tickOf(this.#clock.nowMs());
    const due: WheelEntry[] = [];
    for (let level = 0; level < levels; level += 1) {
      const width = slots ** level;
      const from = Math.floor(this.#nowTick / width) + (level === 0 ? 1 : 0);
      const to = Math.min(Math.floor(now / width), from + slots - 1);
      for (let number = from; number <= to; number += 1) this.#empty(level, number & (slots - 1), due);
    }
    this.#nowTick = now;
    const nowMs = this.#clock.nowMs();
    const expired = due.filter((entry) => entry.expiresAtMs <= nowMs);
    for (const entry of due) if (entry.expiresAtMs > nowMs) this.#place(entry);
    this.#armNext();
    for (const entry of expired) entry.expired();
  }

  #empty(level: number, index: number, into: WheelEntry[]): void {
    const slot = this.#levels[level]?.[index];
    if (slot === undefined) return;
    while (slot.wheelNext !== slot) {
      const entry = slot.wheelNext;
      this.remove(entry);
      into.push(entry);
    }
  }

  #armNext(): void {
    for (let level = 0; level < levels; level += 1) {
      const width = slots ** level;
      const from = Math.floor(this.#nowTick / width) + 1;
      for (let number = from; number < from + slots; number += 1) {
        const slot = this.#levels[level]?.[number & (slots - 1)];
        if (slot === undefined || slot.wheelNext === slot) continue;
        this.#arm(number * width);
        break;
      }
    }
  }
}

/** One timer on a wheel that can be set again and again. */
export class WheelTimer implements WheelEntry {
  expiresAtMs = 0;
  wheelNext: WheelEntry | undefined = undefined;
  wheelPrevious: WheelEntry | undefined = undefined;
  readonly #wheel: TimerWheel;
  readonly #fire: () => void;

  constructor(wheel: TimerWheel, fire: () => void) {
    this.#wheel = wheel;
    this.#fire = fire;
  }

  get isSet(): boolean {
    return this.wheelNext !== undefined;
  }

  /** Fires in `delayMs`, and not when it was set to before. */
  set(delayMs: number): void {
    this.#wheel.remove(this);
    this.#wheel.add(this, delayMs);
  }

  clear(): void {
    this.#wheel.remove(this);
  }

  expired(): void {
    this.#fire();
  }
}
