import { cpus, release, totalmem } from "node:os";

/** One line that says on what a figure was measured. */
export function describeMachine(): string {
  const all = cpus();
  const memoryGiB = Math.round(totalmem() / 2 ** 30);
  return `${all.length} × ${all[0]?.model.trim() ?? "unknown processor"}, ${memoryGiB} GiB, Linux ${release()}, Node ${process.versions.node}`;
}
