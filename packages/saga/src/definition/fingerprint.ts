import type { SagaNode, StepNode } from "./node.js";
import type { SagaDefinition } from "./saga.js";

/**
 * What a released version may not change, as lines to read: the input, and of each node its kind, place, name, result, and what it can do.
 * Two definitions with equal lines can carry out each other's rows. Policies are not in it: they may be tuned.
 */
export function definitionFingerprint(definition: SagaDefinition): readonly string[] {
  return [`input ${definition.input.typeName}`, ...definition.nodes.flatMap(linesOf)];
}

function linesOf(node: SagaNode): readonly string[] {
  switch (node.t) {
    case "step":
      return [stepLine(node)];
    case "parallel":
      return [`parallel ${node.name}`, ...node.steps.map((step) => `  ${stepLine(step)}`)];
    case "sleep":
      return [`sleep ${node.name}`];
    case "lock":
      return [`lock ${node.name} ${node.whenTaken}`];
  }
}

function stepLine(step: StepNode): string {
  const parts = [step.place === "pivot" ? "pivot" : "step", step.name];
  if (step.work.t === "local") parts.push("local");
  if (step.result !== undefined) parts.push(`-> ${step.result.typeName}`);
  if (step.work.compensate !== undefined) parts.push("compensates");
  if (step.work.t === "remote" && step.work.ask !== undefined) parts.push("asks");
  return parts.join(" ");
}
