import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { dirname } from "node:path";
import { sleep } from "@weft/foundation";
import type { PodLogRequest } from "../pod-access.js";

/** A log is cut when it is longer than this; one older part is kept. */
const maxBytes = 16 * 1024 * 1024;

/** How often a followed log is looked at. */
const followEveryMs = 200;

/** Which part of a log is wanted. */
export type LogQuery = Pick<PodLogRequest, "follow" | "previous" | "timestamps" | "tailLines" | "sinceMs">;

/**
 * The output of one container: stdout and stderr, appended by the process itself to `<path>`, so that it outlives the supervisor.
 * `<path>.previous` is that of the run before. Times are known by where the file ended when it was looked at ({@link LogFile.tick}).
 */
export class LogFile {
  readonly path: string;
  /** Where the file ended at a time; sparse, oldest first. */
  #marks: { readonly atMs: number; readonly offset: number }[] = [];
  #runs = 0;
  #removed = false;

  constructor(path: string) {
    this.path = path;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  }

  /** Starts the log of a new run and gives the descriptor that the process writes to; the caller closes it after the spawn. */
  startRun(): { readonly fd: number; close(): void } {
    if (existsSync(this.path)) renameSync(this.path, this.#previousPath);
    this.#marks = [];
    this.#runs += 1;
    const fd = openSync(this.path, "a", 0o600);
    return { fd, close: () => closeSync(fd) };
  }

  /** Notes the time, and cuts the file when it has grown too long (its writer appends, so the cut is safe). */
  tick(nowMs: number): void {
    const size = sizeOf(this.path);
    if (size > maxBytes) {
      try {
        copyFileSync(this.path, this.#olderPath);
      } catch {
        // A full disk: the older part is what can be done without.
        rmSync(this.#olderPath, { force: true });
      }
      truncateSync(this.path, 0);
      this.#marks = [{ atMs: nowMs, offset: 0 }];
      return;
    }
    if (this.#marks.at(-1)?.offset !== size) this.#marks.push({ atMs: nowMs, offset: size });
    if (this.#marks.length > 10_000) this.#marks = this.#marks.filter((_, index) => index % 2 === 0);
  }

  /** Whether there is a log to read. */
  has(query: Pick<LogQuery, "previous">): boolean {
    return existsSync(query.previous ? this.#previousPath : this.path);
  }

  /** The log as asked for; with `follow`, what is added until the log is removed or the signal aborts. */
  async *read(query: LogQuery, signal: AbortSignal): AsyncIterable<Uint8Array> {
    const path = query.previous ? this.#previousPath : this.path;
    let run = this.#runs;
    let offset = query.sinceMs === undefined ? 0 : this.#offsetAt(query.sinceMs);
    if (query.tailLines !== undefined) offset = Math.max(offset, await offsetOfTail(path, query.tailLines));
    const stamp = query.timestamps ? new LineStamper((at) => this.#timeAt(at)) : undefined;
    for (;;) {
      // Asked before the read: what was written before the removal is still given.
      const last = !query.follow || query.previous || this.#removed;
      for await (const chunk of readFrom(path, offset)) {
        if (signal.aborted) return;
        yield stamp === undefined ? chunk : stamp.stamp(chunk, offset);
        offset += chunk.length;
      }
      if (last) return;
      try {
        await sleep(followEveryMs, { signal });
      } catch {
        // The reader went away: that is how a followed log ends.
        return;
      }
      // Started anew or cut meanwhile: go on from its start.
      if (run !== this.#runs || sizeOf(path) < offset) {
        run = this.#runs;
        offset = 0;
      }
    }
  }

  remove(): void {
    this.#removed = true;
    for (const path of [this.path, this.#previousPath, this.#olderPath]) rmSync(path, { force: true });
  }

  #offsetAt(sinceMs: number): number {
    let offset = 0;
    for (const mark of this.#marks) {
      if (mark.atMs >= sinceMs) break;
      offset = mark.offset;
    }
    return offset;
  }

  /** When the line at an offset was first seen. */
  #timeAt(offset: number): number {
    return this.#marks.find((mark) => mark.offset > offset)?.atMs ?? Date.now();
  }

  get #previousPath(): string {
    return `${this.path}.previous`;
  }

  get #olderPath(): string {
    return `${this.path}.older`;
  }
}

/** Puts the time before each line, as `kubectl logs --timestamps` wants it. */
class LineStamper {
  readonly #timeAt: (offset: number) => number;
  #atLineStart = true;

  constructor(timeAt: (offset: number) => number) {
    this.#timeAt = timeAt;
  }

  stamp(chunk: Uint8Array, offset: number): Uint8Array {
    const parts: Buffer[] = [];
    let start = 0;
    while (start < chunk.length) {
      if (this.#atLineStart) parts.push(Buffer.from(`${new Date(this.#timeAt(offset + start)).toISOString()} `));
      const newline = chunk.indexOf(0x0a, start);
      const end = newline < 0 ? chunk.length : newline + 1;
      parts.push(Buffer.from(chunk.subarray(start, end)));
      this.#atLineStart = newline >= 0;
      start = end;
    }
    return Buffer.concat(parts);
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

async function* readFrom(path: string, offset: number): AsyncIterable<Uint8Array> {
  if (!existsSync(path)) return;
  await using file = await open(path, "r");
  const buffer = new Uint8Array(64 * 1024);
  let position = offset;
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.slice(0, bytesRead);
  }
}

/** Where the last `lines` lines begin; read backwards, so that a long log costs no more than its tail. */
async function offsetOfTail(path: string, lines: number): Promise<number> {
  if (!existsSync(path)) return 0;
  await using file = await open(path, "r");
  const { size } = await file.stat();
  if (lines <= 0) return size;
  const buffer = new Uint8Array(64 * 1024);
  let end = size;
  let found = 0;
  while (end > 0) {
    const start = Math.max(0, end - buffer.length);
    const { bytesRead } = await file.read(buffer, 0, end - start, start);
    for (let index = bytesRead - 1; index >= 0; index--) {
      // The newline that closes the last line opens no other.
      if (buffer[index] !== 0x0a || start + index === size - 1) continue;
      found += 1;
      if (found === lines) return start + index + 1;
    }
    end = start;
  }
  return 0;
}
