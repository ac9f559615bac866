import { describe } from "vitest";
import { aggregationContract } from "./contract/aggregation.js";
import { discoveryContract } from "./contract/discovery.js";
import { disruptionContract } from "./contract/disruption.js";
import { type ContractTarget, useWorld } from "./contract/fixture.js";
import { listsContract } from "./contract/lists.js";
import { objectsContract } from "./contract/objects.js";
import { patchesContract } from "./contract/patches.js";
import { refusalsContract } from "./contract/refusals.js";
import { scalingContract } from "./contract/scaling.js";

/**
 * The behaviour of Kubernetes' API that its clients rely on. Each rule is a test of its own. It works in a namespace of its own and takes that
 * away at the end, so that it can be run against a cluster that others use. `compacts` says that the target can be made to forget versions;
 * the rule about that is left out otherwise.
 */
export function runKubeContract(
  name: string,
  create: () => Promise<ContractTarget>,
  options: { readonly compacts?: boolean } = {},
): void {
  describe(`${name} as a Kubernetes API`, () => {
    const world = useWorld(create, options.compacts ?? false);
    discoveryContract(world);
    objectsContract(world);
    listsContract(world);
    patchesContract(world);
    refusalsContract(world);
    scalingContract(world);
    disruptionContract(world);
    aggregationContract(world);
  });
}
