import type { DescMethod } from "@bufbuild/protobuf";
import type { Metadata, Status } from "@weft/wire";

/** What is known of a call before anything of it is read. */
export interface CallHead {
  readonly path: string;
  readonly method: DescMethod;
  readonly metadata: Metadata;
  /** Address of the client, `host:port`. */
  readonly peer: string;
  /** The principal that metadata `weft-user` names. */
  readonly user: string | undefined;
}

/** What a gate says. `done` is called when the call that it let in is over. */
export type Verdict =
  | { readonly t: "admit"; readonly done?: () => void }
  | { readonly t: "refuse"; readonly status: Status };

/**
 * Decides on a call before its span is made or a byte of its message read: access first, then limits, in the order of the list.
 * It must not wait, so that a refusal costs less than a call.
 */
export type Gate = (head: CallHead) => Verdict;

/** Asks each gate until one refuses; one verdict for all. */
export function passGates(gates: readonly Gate[], head: CallHead): Verdict {
  const dones: (() => void)[] = [];
  const done = (): void => {
    for (const each of dones) each();
  };
  for (const gate of gates) {
    const verdict = gate(head);
    if (verdict.t === "refuse") {
      done();
      return verdict;
    }
    if (verdict.done !== undefined) dones.push(verdict.done);
  }
  return dones.length === 0 ? admitted : { t: "admit", done };
}

const admitted: Verdict = { t: "admit" };
