import { existsSync, readFileSync } from "node:fs";
import { definitionFingerprint } from "../definition/fingerprint.js";
import type { SagaDefinition } from "../definition/saga.js";

/** What stands in the file of released sagas: by name, by version, the lines of the fingerprint. */
type Released = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;

/**
 * Fails when a released version of a saga has changed: its rows may be under way, and another program wrote them. Keep the file beside the
 * definitions, JSON such as `{ "place-order": { "1": ["input …", "step reserve …"] } }`, and call this in a test.
 *
 * - A version in the file must have the same lines, as long as it is still among the definitions; one that is drained may be removed.
 * - A version that is not in the file is not released yet: the error holds the text that releases it.
 */
export function assertReleasedSagas(definitions: readonly SagaDefinition[], releasedFile: string | URL): void {
  const released = existsSync(releasedFile) ? parseReleased(readFileSync(releasedFile, "utf8")) : {};
  const problems: string[] = [];
  for (const definition of definitions) {
    const { name, version } = definition;
    const lines = definitionFingerprint(definition);
    const known = released[name]?.[String(version)];
    if (known === undefined) {
      problems.push(`saga "${name}" version ${version} is not in the file: add "${version}": ${JSON.stringify(lines)}`);
      continue;
    }
    const gone = known.filter((line) => !lines.includes(line)).map((line) => `  - ${line}`);
    const come = lines.filter((line) => !known.includes(line)).map((line) => `  + ${line}`);
    const moved = gone.length + come.length === 0 && JSON.stringify(known) !== JSON.stringify(lines);
    if (gone.length + come.length > 0 || moved) {
      const what = moved ? ["  its steps stand in another order"] : [...gone, ...come];
      problems.push(
        [
          `saga "${name}" version ${version} is released and was changed: make it version ${version + 1}, and keep the old one until it is drained`,
          ...what,
        ].join("\n"),
      );
    }
  }
  if (problems.length > 0) throw new Error(problems.join("\n"));
}

function parseReleased(text: string): Released {
  const value: unknown = JSON.parse(text);
  if (typeof value !== "object" || value === null) throw new TypeError("released sagas: must be an object");
  return value as Released;
}
