import { allIdle, type Balancer, type Endpoint, readyEndpoints } from "./picker.js";

/**
 * Looks at a few endpoints at random and takes the one with the fewest streams (the power of two choices; gRFC A48).
 * It needs no coordination and follows slow endpoints at once.
 */
export function leastRequest(choices: number): Balancer {
  return {
    name: "least_request",
    wanted: allIdle,
    picker(candidates, random) {
      const ready = readyEndpoints(candidates);
      if (ready.t === "none") return ready.picker;
      const { endpoints } = ready;
      return {
        pick(call) {
          const fresh = call.tried.size === 0 ? endpoints : withoutTried(endpoints, call.tried);
          let best = at(fresh, random());
          for (let looked = 1; looked < choices && fresh.length > 1; looked += 1) {
            const next = at(fresh, random());
            if (next.inFlight < best.inFlight) best = next;
          }
          return { t: "complete", endpoint: best };
        },
      };
    },
  };
}

/** The endpoints that the call has not been sent to, or all of them when it has been to each. */
export function withoutTried<E extends Endpoint>(endpoints: readonly E[], tried: ReadonlySet<string>): readonly E[] {
  const fresh = endpoints.filter(({ address }) => !tried.has(address));
  return fresh.length > 0 ? fresh : endpoints;
}

function at<E>(items: readonly E[], point: number): E {
  const item = items[Math.floor(point * items.length)];
  if (item === undefined)
    throw new RangeError("balancer: random gave a number outside [0, 1), or there was nothing to choose from");
  return item;
}
