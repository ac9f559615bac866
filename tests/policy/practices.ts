import type { Practice } from "./manifests.js";
import { networkPractices } from "./network-practices.js";
import { podPractices } from "./pod-practices.js";
import { workloadPractices } from "./workload-practices.js";

/** All rules of how our manifests are written. */
export const practices: readonly Practice[] = [...podPractices, ...workloadPractices, ...networkPractices];
