import { closeSync, fstatSync, openSync, readSync } from "node:fs";

/** How much of the end of a log is looked at, and how much of it is told. */
const tailBytes = 16 * 1024;
const maxLength = 300;

/**
 * What a process that failed said last, for its status: the error that it logged, else the error that it died of, else what is
 * wrong with its configuration, else its last line. `undefined` when it said nothing.
 */
export function lastWords(logFile: string): string | undefined {
  const lines = tailOf(logFile)
    .split("\n")
    .map((line) => line.trimEnd())
    .filter((line) => line !== "");
  const said =
    lines.map(loggedError).findLast((text) => text !== undefined) ??
    lines.findLast((line) => /^(?:Uncaught )?(?:[A-Za-z]*Error|FATAL)\b.*:/.test(line)) ??
    wrongConfig(lines) ??
    lines.at(-1)?.trim();
  return said === undefined || said.length <= maxLength ? said : `${said.slice(0, maxLength)}…`;
}

/** The message of a line that a Weft process logs in JSON, when it tells of an error. */
function loggedError(line: string): string | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    return parseLine(JSON.parse(line));
  } catch {
    // Cut off, or not JSON.
    return undefined;
  }
}

function parseLine(line: unknown): string | undefined {
  if (typeof line !== "object" || line === null || !("level" in line && "message" in line)) return undefined;
  if (line.level !== "error" && line.level !== "fatal") return undefined;
  const error = "error" in line ? line.error : undefined;
  const cause = typeof error === "object" && error !== null && "message" in error ? `: ${String(error.message)}` : "";
  return `${String(line.message)}${cause}`;
}

/** The problems that chassis prints above its table of variables. */
function wrongConfig(lines: readonly string[]): string | undefined {
  const start = lines.findLastIndex((line) => line.startsWith("config: "));
  if (start < 0) return undefined;
  const end = lines.findIndex((line, index) => index > start && !line.startsWith("  "));
  return lines
    .slice(start, end < 0 ? undefined : end)
    .map((line) => line.trim())
    .join("; ");
}

function tailOf(path: string): string {
  let handle: number | undefined;
  try {
    handle = openSync(path, "r");
    const { size } = fstatSync(handle);
    const buffer = Buffer.alloc(Math.min(size, tailBytes));
    const length = readSync(handle, buffer, 0, buffer.length, size - buffer.length);
    return buffer.toString("utf8", 0, length);
  } catch {
    // No log, or no more: then nothing was said.
    return "";
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
}
