/** Where a call can be sent. */
export interface Endpoint {
  /** `host:port` */
  readonly address: string;
  /** Streams that are open to it now, over all clusters that name it. */
  readonly inFlight: number;
}

/** What a picker may look at. */
export interface CallAttributes {
  readonly path: string;
  /** Addresses that earlier attempts of the call were sent to: they are taken only when there is no other. */
  readonly tried: ReadonlySet<string>;
}

export type PickResult<E extends Endpoint> =
  | { readonly t: "complete"; readonly endpoint: E }
  /** An endpoint is being connected to: a newer picker will know more. */
  | { readonly t: "queue" }
  /** No endpoint can be reached. */
  | { readonly t: "fail"; readonly message: string };

/** An immutable view of a cluster's endpoints, replaced whole when anything changes; picking never waits. */
export interface Picker<E extends Endpoint> {
  pick(call: CallAttributes): PickResult<E>;
}

/** An endpoint as it stands when a picker is made. */
export interface Candidate<E extends Endpoint> {
  readonly endpoint: E;
  readonly state: CandidateState;
}

export type CandidateState =
  | { readonly t: "idle" }
  | { readonly t: "connecting" }
  | { readonly t: "ready" }
  | { readonly t: "failed"; readonly message: string };

/** How calls are spread. Each one passes `runPickerContract`. */
export interface Balancer {
  readonly name: string;
  /** Makes the picker for the endpoints as they stand; `random` gives numbers in [0, 1). */
  picker<E extends Endpoint>(candidates: readonly Candidate<E>[], random: () => number): Picker<E>;
  /** Which of the idle endpoints to connect to now. */
  wanted<E extends Endpoint>(candidates: readonly Candidate<E>[]): readonly E[];
}

/** The endpoints that are ready, or what a pick gives while there are none. */
export function readyEndpoints<E extends Endpoint>(
  candidates: readonly Candidate<E>[],
): { readonly t: "some"; readonly endpoints: readonly E[] } | { readonly t: "none"; readonly picker: Picker<E> } {
  const endpoints = candidates.filter(({ state }) => state.t === "ready").map(({ endpoint }) => endpoint);
  if (endpoints.length > 0) return { t: "some", endpoints };
  return { t: "none", picker: { pick: () => unready(candidates) } };
}

function unready<E extends Endpoint>(candidates: readonly Candidate<E>[]): PickResult<E> {
  if (candidates.length === 0) return { t: "fail", message: "it has no endpoints" };
  let last = "";
  for (const { endpoint, state } of candidates) {
    if (state.t !== "failed") return { t: "queue" };
    last = `${endpoint.address}: ${state.message}`;
  }
  return { t: "fail", message: `no endpoint can be reached; the last one tried is ${last}` };
}

/** All idle endpoints, for balancers that use every endpoint. */
export function allIdle<E extends Endpoint>(candidates: readonly Candidate<E>[]): readonly E[] {
  return candidates.filter(({ state }) => state.t === "idle").map(({ endpoint }) => endpoint);
}
