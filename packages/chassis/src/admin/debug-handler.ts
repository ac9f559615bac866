import { chmod, mkdir, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { parseDurationMs } from "../config/variable.js";
import { recordCpuProfile } from "./cpu-profile.js";
import {
  type Address,
  type Answer,
  type HttpListener,
  json,
  listenHttp,
  notFound,
  type Question,
} from "./http-listener.js";

/** How long a planned stop may take, when it is not as configured. */
export interface StopTimes {
  readonly delayMs: number;
  readonly timeoutMs: number;
}

/** What the debug handler shows and does. */
export interface DebugOptions {
  readonly address: Address;
  /** The whole of `/config`. */
  describe(): unknown;
  /** Whether the process is ready, for `/healthz`. */
  isReady(): boolean;
  /** Begins a planned stop. */
  stop(times: Partial<StopTimes>): void;
}

const maxProfileMs = 60_000;

/**
 * Opens the handler for those who may look inside: `GET /config`, `/healthz`, `/profile?duration=5s` (a V8 CPU profile), and
 * `POST /stop?delay=0s&timeout=3s`. It listens on a UNIX socket in a folder of mode 0700, or on loopback, where requests that a web page
 * could have made (a foreign Host, any Origin) are refused.
 */
export async function openDebugHandler(options: DebugOptions): Promise<HttpListener> {
  const { address } = options;
  if (address.t === "tcp") return listenHttp(address, (question) => respondLocally(question, options));
  await mkdir(dirname(address.path), { recursive: true, mode: 0o700 });
  // What a killed process left: nobody listens there.
  await rm(address.path, { force: true });
  const listener = await listenHttp(address, (question) => respond(question, options));
  await chmod(address.path, 0o600);
  return listener;
}

function respondLocally(question: Question, options: DebugOptions): Answer | Promise<Answer> {
  const { host = "", origin } = question.request.headers;
  const local = /^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/.test(host);
  if (!local || origin !== undefined)
    return { status: 403, body: json({ error: "only for this machine's own tools" }) };
  return respond(question, options);
}

async function respond({ method, url }: Question, options: DebugOptions): Promise<Answer> {
  switch (`${method} ${url.pathname}`) {
    case "GET /config":
      return { status: 200, body: json(options.describe()) };
    case "GET /healthz":
      return options.isReady()
        ? { status: 200, body: json({ ready: true }) }
        : { status: 503, body: json({ ready: false }) };
    case "GET /profile": {
      const duration = parseDurationMs(url.searchParams.get("duration") ?? "5s");
      if (!duration.ok || duration.value > maxProfileMs)
        return { status: 400, body: json({ error: "duration: must be a duration such as 5s, at most 60s" }) };
      return { status: 200, body: json(await recordCpuProfile(duration.value)) };
    }
    case "POST /stop": {
      const delay = durationParameter(url, "delay");
      const timeout = durationParameter(url, "timeout");
      if (delay.t === "wrong" || timeout.t === "wrong")
        return { status: 400, body: json({ error: "delay and timeout: must be durations such as 3s" }) };
      options.stop({
        ...(delay.t === "given" ? { delayMs: delay.ms } : {}),
        ...(timeout.t === "given" ? { timeoutMs: timeout.ms } : {}),
      });
      return { status: 202, body: json({ stopping: true }) };
    }
    default:
      return notFound;
  }
}

type DurationParameter =
  | { readonly t: "absent" }
  | { readonly t: "wrong" }
  | { readonly t: "given"; readonly ms: number };

function durationParameter(url: URL, name: string): DurationParameter {
  const text = url.searchParams.get(name);
  if (text === null) return { t: "absent" };
  const duration = parseDurationMs(text);
  return duration.ok ? { t: "given", ms: duration.value } : { t: "wrong" };
}
