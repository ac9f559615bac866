import { describe } from "vitest";
import type { Transport } from "../transport.js";
import { callsContract } from "./contract/calls.js";

/** The behaviour that every {@link Transport} shows. Run it from a test file: each rule is a test of its own. */
export function runTransportContract(name: string, create: () => Transport): void {
  describe(`${name} as a transport`, () => {
    const transport = create();
    callsContract(transport);
  });
}
