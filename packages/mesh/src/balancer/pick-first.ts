import { type Balancer, readyEndpoints } from "./picker.js";

/** Sends every call to the first endpoint of the list that can be reached; connects to one at a time. */
export const pickFirst: Balancer = {
  name: "pick_first",
  wanted(candidates) {
    for (const { endpoint, state } of candidates) {
      if (state.t === "failed") continue;
      return state.t === "idle" ? [endpoint] : [];
    }
    return [];
  },
  picker(candidates) {
    const ready = readyEndpoints(candidates);
    if (ready.t === "none") return ready.picker;
    const { endpoints } = ready;
    return {
      pick(call) {
        const endpoint = endpoints.find(({ address }) => !call.tried.has(address)) ?? endpoints[0];
        return endpoint === undefined ? { t: "queue" } : { t: "complete", endpoint };
      },
    };
  },
};
