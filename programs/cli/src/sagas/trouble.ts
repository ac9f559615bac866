import { type SagaCount, SagaState } from "@weft/contracts/weft/saga/v1";
import type { KubeClient, Pod } from "@weft/kube";
import { isReady, openSagaDoor } from "./reach.js";

/** A service that does not answer by then has no line: status never hangs. */
const answerMs = 2_000;

/** One line for each Deployment whose sagas wait for somebody: parked ones, and those of versions that it does not know. */
export async function sagaTrouble(
  client: Pick<KubeClient, "portForward">,
  deployments: ReadonlyMap<string, readonly Pod[]>,
): Promise<readonly string[]> {
  const lines = await Promise.all(
    [...deployments].map(async ([name, pods]) => {
      const pod = pods.find(isReady);
      return pod === undefined ? undefined : troubleLine(name, await countsOf(client, pod));
    }),
  );
  return lines.filter((line) => line !== undefined).sort();
}

async function countsOf(client: Pick<KubeClient, "portForward">, pod: Pod): Promise<readonly SagaCount[]> {
  try {
    const signal = AbortSignal.timeout(answerMs);
    await using door = await openSagaDoor(client, pod, { operator: "status", signal });
    return door === undefined ? [] : (await door.admin.countSagas({}, { signal })).counts;
  } catch {
    // Most services keep no sagas, and one that is unwell is seen by its Pod's line.
    return [];
  }
}

/** What is wrong with the sagas that are left, in one line; nothing when nothing is. */
export function troubleLine(service: string, counts: readonly SagaCount[]): string | undefined {
  const sumOf = (wanted: (count: SagaCount) => boolean): bigint =>
    counts.filter(wanted).reduce((sum, { count }) => sum + count, 0n);
  const parked = sumOf(({ state }) => state === SagaState.PARKED);
  const unknown = sumOf(({ state, knownVersion }) => state !== SagaState.PARKED && !knownVersion);
  const facts = [
    ...(parked === 0n ? [] : [`${parked} parked`]),
    ...(unknown === 0n ? [] : [`${unknown} of versions that it does not know`]),
  ];
  if (facts.length === 0) return undefined;
  return `sagas of ${service}: ${facts.join(", ")}; see "weft sagas list --service ${service}"`;
}
