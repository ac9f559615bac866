/** How many calls a process was asked for and has ended since it started; health and reflection don't count. */
export interface CallCounts {
  readonly started: number;
  readonly ended: number;
}

/** The counters of gRFC A66, as Prometheus has them. Exporters differ in whether the unit is part of a name. */
const startedNames = new Set(["grpc_server_call_started_total", "grpc_server_call_started"]);
const endedNames = new Set(["grpc_server_call_duration_count", "grpc_server_call_duration_seconds_count"]);
const methodLabel = /(?:^|,)grpc_method="([^"]*)"/;
const ownServices = /^\/?grpc\.(?:health|reflection)\./;

/**
 * Adds up `grpc.server.call.started` and the count of `grpc.server.call.duration` in Prometheus' text, line by line as it comes.
 * A process that has served nothing yet shows neither: its counts are 0.
 */
export class CallCountReader {
  #started = 0;
  #ended = 0;

  get counts(): CallCounts {
    return { started: this.#started, ended: this.#ended };
  }

  line(text: string): void {
    if (!text.startsWith("grpc_server_call_")) return;
    const open = text.indexOf("{");
    const close = text.lastIndexOf("}");
    const name = text.slice(0, open);
    if (open < 0 || close < open || !(startedNames.has(name) || endedNames.has(name))) return;
    if (ownServices.test(methodLabel.exec(text.slice(open + 1, close))?.[1] ?? "")) return;
    // A time stamp may follow the value.
    const value = Number(
      text
        .slice(close + 1)
        .trim()
        .split(/\s/, 1)[0],
    );
    if (!Number.isFinite(value) || value < 0) return;
    if (startedNames.has(name)) this.#started += value;
    else this.#ended += value;
  }
}
