import type { BalancerConfig } from "../resources/cluster.js";
import { leastRequest } from "./least-request.js";
import { pickFirst } from "./pick-first.js";
import type { Balancer } from "./picker.js";
import { roundRobin } from "./round-robin.js";

/** The balancer that a cluster asks for. */
export function balancerOf(config: BalancerConfig): Balancer {
  switch (config.name) {
    case "least_request":
      return leastRequest(config.choices);
    case "round_robin":
      return roundRobin;
    case "pick_first":
      return pickFirst;
  }
}
