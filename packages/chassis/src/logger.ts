import { isSpanContextValid, trace } from "@opentelemetry/api";
import type { LogFields, Logger } from "@weft/foundation";
import { pino } from "pino";
import { isSecretKey, type Redactor, redacted } from "./redaction/redactor.js";

/** Levels of the log, least first. */
export type LogLevel = "debug" | "info" | "warn" | "error";

export interface LoggerOptions {
  readonly level: LogLevel;
  /** Takes whole lines of JSON, each with its line feed. */
  readonly write: (line: string) => void;
  readonly redactor: Redactor;
  /** On every line. */
  readonly fields: LogFields;
}

const reserved = new Set(["level", "time", "message", "trace_id", "span_id"]);

/** A logger of JSON lines that hold the active span's ids and nothing that must not leak. */
export function createLogger(options: LoggerOptions): Logger {
  const { redactor } = options;
  const root = pino(
    {
      level: options.level,
      base: safeFields(options.fields, redactor),
      messageKey: "message",
      timestamp: pino.stdTimeFunctions.isoTime,
      serializers: { err: (value: unknown) => value },
      formatters: { level: (label) => ({ level: label }) },
      mixin: activeSpan,
    },
    { write: options.write },
  );
  return wrap(root, redactor);
}

function wrap(lines: pino.Logger, redactor: Redactor): Logger {
  const log = (level: LogLevel, message: string, fields: LogFields | undefined): void => {
    if (!lines.isLevelEnabled(level)) return;
    lines[level](fields === undefined ? {} : safeFields(fields, redactor), redactor.text(message));
  };
  return {
    debug: (message, fields) => log("debug", message, fields),
    info: (message, fields) => log("info", message, fields),
    warn: (message, fields) => log("warn", message, fields),
    error: (message, fields) => log("error", message, fields),
    child: (fields) => wrap(lines.child(safeFields(fields, redactor)), redactor),
  };
}

function safeFields(fields: LogFields, redactor: Redactor): Record<string, unknown> {
  const safe: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields)) {
    const name = redactor.text(reserved.has(key) ? `${key}_` : key);
    safe[name] = isSecretKey(key) ? redacted : redactor.value(value);
  }
  return safe;
}

function activeSpan(): Record<string, string> {
  const context = trace.getActiveSpan()?.spanContext();
  return context !== undefined && isSpanContextValid(context)
    ? { trace_id: context.traceId, span_id: context.spanId }
    : {};
}
