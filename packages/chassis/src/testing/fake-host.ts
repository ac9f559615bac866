import { EventEmitter } from "node:events";
import type { ProcessEvent, ProcessHost } from "../host.js";

/** A process that is none: its signals are sent, its output kept and its exit awaited by a test. */
export interface FakeHost extends ProcessHost {
  /** What was logged, line by line, as text. */
  readonly lines: readonly string[];
  /** The exit code, once it ended. */
  readonly exited: Promise<number>;
  raise(event: ProcessEvent, cause?: unknown): void;
}

export function createFakeHost(): FakeHost {
  const events = new EventEmitter();
  const lines: string[] = [];
  let exit: (code: number) => void = () => {};
  const exited = new Promise<number>((resolve) => {
    exit = resolve;
  });
  const keep = (text: string): void => {
    lines.push(...text.split("\n").filter((line) => line !== ""));
  };
  return {
    lines,
    exited,
    writeOut: keep,
    writeErr: keep,
    on(event, listener) {
      events.on(event, listener);
      return () => events.off(event, listener);
    },
    exit: (code) => exit(code),
    raise: (event, cause) => void events.emit(event, cause),
  };
}
