import type { ConfigError } from "./config/table.js";

/** What a wrong configuration ends with (as `EX_USAGE` tools do). */
const usageExitCode = 2;

/**
 * Prints everything that is wrong with the environment, and the table that it should satisfy, then ends the process with code 2.
 * For `main.ts` alone.
 */
export function exitWithUsage(error: ConfigError, node: NodeJS.Process = process): never {
  node.stderr.write(error.text);
  return node.exit(usageExitCode);
}
