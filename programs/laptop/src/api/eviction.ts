import { isRecord, type LabelSelector } from "@weft/kube";
import { matchesSelector } from "../controllers/selector.js";
import { at, listAt, numberAt, recordAt, textAt } from "../kinds/path.js";
import type { Json, ResourceKind } from "../kinds/resource-kind.js";
import type { KindRegistry } from "./kind-registry.js";
import { type ApiObjects, backgroundDelete } from "./objects.js";
import { ApiError, badRequest } from "./status.js";
import type { ObjectStore } from "./store.js";

/** Where an eviction is sent: a Pod's place. */
interface Place {
  readonly namespace: string;
  readonly name: string;
}

interface Context {
  readonly store: ObjectStore;
  readonly kinds: KindRegistry;
  readonly objects: ApiObjects;
  readonly clock: { wallMs(): number };
}

/** `pods/eviction`: deletes a Pod if its PodDisruptionBudget can spare it, and counts it there. Throws 429 otherwise. */
export function evict(place: Place, body: unknown, context: Context): Json {
  const pods = context.kinds.byKey("pods");
  const budgets = context.kinds.byKey("poddisruptionbudgets.policy");
  if (pods === undefined || budgets === undefined) throw badRequest("there are no Pods");
  if (!isRecord(body)) throw badRequest("the body of the request is not a JSON object");
  const named = textAt(body, "metadata", "name");
  if (named !== "" && named !== place.name) {
    throw badRequest("name in URL does not match name in Eviction object");
  }
  const pod = context.objects.get(pods, place.namespace, place.name);
  const options = recordAt(body, "deleteOptions");
  const dryRun = listAt(options, "dryRun").length > 0;
  if (hasBegun(pod) && textAt(pod, "metadata", "deletionTimestamp") === "") spend(budgets, pod, dryRun, context);
  context.objects.remove(pods, place.namespace, place.name, {
    ...backgroundDelete,
    gracePeriodSeconds: numberAt(options, "gracePeriodSeconds"),
    dryRun,
  });
  return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 };
}

/** A Pod that has not begun, or is over, is missed by nobody. */
function hasBegun(pod: Json): boolean {
  return !["Pending", "Succeeded", "Failed"].includes(textAt(pod, "status", "phase"));
}

function spend(budgets: ResourceKind, pod: Json, dryRun: boolean, { store, clock }: Context): void {
  const namespace = textAt(pod, "metadata", "namespace");
  const name = textAt(pod, "metadata", "name");
  const labels = fromLabels(recordAt(pod, "metadata", "labels"));
  const matching = store.list(budgets, namespace).filter((budget) => {
    const selector = at(budget, "spec", "selector");
    return isRecord(selector) && matchesSelector(fromSelector(selector), labels);
  });
  const [budget] = matching;
  if (budget === undefined) return;
  if (matching.length > 1) {
    throw new ApiError(
      500,
      "InternalError",
      "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
    );
  }
  const count = (field: string): number => numberAt(budget, "status", field) ?? 0;
  if (count("observedGeneration") < (numberAt(budget, "metadata", "generation") ?? 0)) {
    throw refusal(
      `The disruption budget ${textAt(budget, "metadata", "name")} is still being processed by the server.`,
    );
  }
  if (!isReady(pod) && maySpareUnhealthy(budget, count)) return;
  if (count("disruptionsAllowed") <= 0) {
    throw refusal(
      `The disruption budget ${textAt(budget, "metadata", "name")} needs ${count("desiredHealthy")} healthy pods and has ${count("currentHealthy")} currently`,
    );
  }
  if (dryRun) return;
  const status = recordAt(budget, "status");
  const now = `${new Date(clock.wallMs()).toISOString().slice(0, 19)}Z`;
  store.put(budgets, {
    ...budget,
    status: {
      ...status,
      disruptionsAllowed: count("disruptionsAllowed") - 1,
      disruptedPods: { ...recordAt(status, "disruptedPods"), [name]: now },
    },
  });
}

function isReady(pod: Json): boolean {
  const ready = listAt(pod, "status", "conditions").find((condition) => at(condition, "type") === "Ready");
  return at(ready, "status") === "True";
}

/** `unhealthyPodEvictionPolicy`: a Pod that serves nobody may go while enough others do, or always. */
function maySpareUnhealthy(budget: Json, count: (field: string) => number): boolean {
  if (textAt(budget, "spec", "unhealthyPodEvictionPolicy") === "AlwaysAllow") return true;
  return count("desiredHealthy") > 0 && count("currentHealthy") >= count("desiredHealthy");
}

function refusal(why: string): ApiError {
  return new ApiError(429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.", {
    causes: [{ field: "", reason: "DisruptionBudget", message: why }],
    retryAfterSeconds: 10,
  });
}

/** A selector in the store has passed its schema. */
function fromSelector(selector: unknown): LabelSelector {
  return selector as LabelSelector;
}

function fromLabels(labels: unknown): Readonly<Record<string, string>> {
  return labels as Readonly<Record<string, string>>;
}
