/** Fields of one log line. Values must be safe to show: never a secret, a token or a card number. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Structured logging: a constant message, and what varies in fields. An error goes under `error`. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger that adds these fields to each of its lines. */
  child(fields: LogFields): Logger;
}

/** Says nothing: the default of every library. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLogger,
};
