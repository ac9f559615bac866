import { allIdle, type Balancer, readyEndpoints } from "./picker.js";

/** Takes the endpoints that are ready in turn, from a random one on, so that clients which start together do not march in step. */
export const roundRobin: Balancer = {
  name: "round_robin",
  wanted: allIdle,
  picker(candidates, random) {
    const ready = readyEndpoints(candidates);
    if (ready.t === "none") return ready.picker;
    const { endpoints } = ready;
    let next = Math.floor(random() * endpoints.length);
    return {
      pick(call) {
        for (let step = 0; ; step += 1) {
          const endpoint = endpoints[next % endpoints.length];
          next = (next + 1) % endpoints.length;
          if (endpoint === undefined) return { t: "queue" };
          if (step < endpoints.length && call.tried.has(endpoint.address)) continue;
          return { t: "complete", endpoint };
        }
      },
    };
  },
};
