import { describe, expect, test } from "vitest";
import { Inbox } from "./inbox.js";

const byte = (value: number): Uint8Array => Uint8Array.of(value);

function setUp(onMessage: (inbox: Inbox, value: number | undefined) => void = () => {}) {
  const log: string[] = [];
  const inbox: Inbox = new Inbox({
    ask: () => void log.push("ask"),
    deliver: (bytes) => {
      log.push(`got ${bytes[0]}`);
      onMessage(inbox, bytes[0]);
    },
  });
  return { inbox, log };
}

describe("an inbox", () => {
  test("keeps one message back until it is granted, and asks for the next only then", () => {
    const { inbox, log } = setUp();
    inbox.arrive(byte(1));
    expect(log).toEqual([]);
    inbox.read(1);
    expect(log).toEqual(["got 1", "ask"]);
  });

  test("tells the end after what is kept back, and does not ask beyond it", () => {
    const { inbox, log } = setUp();
    inbox.arrive(byte(1));
    inbox.finish(() => void log.push("end"));
    expect(log).toEqual([]);
    inbox.read(5);
    expect(log).toEqual(["got 1", "end"]);
  });

  test("tells the end without a grant when nothing is kept back", () => {
    const { inbox, log } = setUp();
    inbox.finish(() => void log.push("end"));
    expect(log).toEqual(["end"]);
  });

  test("a receiver may grant more while it is given a message", () => {
    const { inbox, log } = setUp((self) => self.read(1));
    inbox.read(1);
    inbox.arrive(byte(1));
    inbox.arrive(byte(2));
    expect(log).toEqual(["got 1", "ask", "got 2", "ask"]);
  });

  test("once closed it delivers nothing, not even the end", () => {
    const { inbox, log } = setUp((self) => self.close());
    inbox.read(5);
    inbox.arrive(byte(1));
    inbox.arrive(byte(2));
    inbox.finish(() => void log.push("end"));
    expect(log).toEqual(["got 1"]);
  });
});
