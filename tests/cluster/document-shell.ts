import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { type CommandResult, run } from "../e2e/laptop.js";
import { kubectlPath } from "./command.js";
import { root } from "./environment.js";

/** A shell as a reader of the documents has it, with `kubectl` on the path; `folder` is a scratch folder that goes with it. */
export interface DocumentShell extends Disposable {
  readonly folder: string;
  /** Runs lines in one shell, which ends at the first that fails. */
  run(lines: string, options?: { readonly cwd?: string }): Promise<CommandResult>;
}

/** `substitutes` are what this cluster calls differently: words of the documents, and what is typed for them. */
export function documentShell(substitutes: ReadonlyMap<string, string> = new Map()): DocumentShell {
  const folder = mkdtempSync(join(tmpdir(), "weft-documents-"));
  if (kubectlPath !== "kubectl") symlinkSync(kubectlPath, join(folder, "kubectl"));
  return {
    folder,
    run(lines, { cwd = root } = {}) {
      let text = lines;
      for (const [word, here] of substitutes) text = text.replaceAll(word, here);
      const env = { ...process.env, PATH: `${folder}${delimiter}${process.env["PATH"] ?? ""}` };
      return run("bash", ["--norc", "-eu", "-o", "pipefail", "-c", text], { cwd, env });
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}
