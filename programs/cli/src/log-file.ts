import { appendFileSync, mkdirSync, renameSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { LogFields, Logger } from "@weft/foundation";

const maxBytes = 8 * 1024 * 1024;

/** What the laptop itself has to say goes to a file, one JSON line each: the terminal belongs to the board. */
export function createLogFile(path: string): Logger {
  let began = false;
  const write = (level: string, message: string, fields: LogFields): void => {
    try {
      append(level, message, fields);
    } catch {
      // A full disk, or a folder that somebody removed: the laptop must not fall over its own log.
    }
  };
  const append = (level: string, message: string, fields: LogFields): void => {
    if (!began) {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
      if (size > maxBytes) renameSync(path, `${path}.older`);
      began = true;
    }
    const line = JSON.stringify({ time: new Date().toISOString(), level, message, ...fields }, showErrors);
    appendFileSync(path, `${line}\n`, { mode: 0o600 });
  };
  const withFields = (own: LogFields): Logger => ({
    debug() {},
    info: (message, fields) => write("info", message, { ...own, ...fields }),
    warn: (message, fields) => write("warn", message, { ...own, ...fields }),
    error: (message, fields) => write("error", message, { ...own, ...fields }),
    child: (fields) => withFields({ ...own, ...fields }),
  });
  return withFields({});
}

function showErrors(_key: string, value: unknown): unknown {
  if (!(value instanceof Error)) return value;
  return value.cause === undefined ? value.stack : { error: value.stack, cause: value.cause };
}
