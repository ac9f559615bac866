import { setMaxListeners } from "node:events";
import type { Writable } from "node:stream";
import { type Logger, Scope } from "@weft/foundation";
import type { AnyObject } from "@weft/kube";
import { summarizeIgnored } from "../fields/check-fields.js";
import { createImageResolver } from "../kubelet/images.js";
import { NotApplied } from "./apply.js";
import { type Screen, showBoard } from "./board.js";
import { type Laptop, startLaptop } from "./laptop.js";
import { describeProblem, loadManifests, type Manifests, problemOf } from "./manifests.js";
import { placeSampleOrder } from "./sample-order.js";
import { describeTelemetry, shellTelemetry } from "./shell-telemetry.js";
import type { StateFolder } from "./state-folder.js";
import { lockHolder, takeLock } from "./supervisor-lock.js";

/** How long a Pod may take to end after Ctrl-C. */
const stopGraceMs = 5_000;

const gateway = { name: "gateway", namespace: "weft" };
const traceStore = { name: "trace-store", namespace: "weft" };

export interface UpOptions {
  readonly checkout: string;
  readonly state: StateFolder;
  /** Folder of the overlay. */
  readonly overlay: string;
  readonly lookupHook: string;
  /** Lists the fields that mean nothing on one machine, and starts nothing. */
  readonly explain: boolean;
  readonly sample: boolean;
  readonly env: NodeJS.ProcessEnv;
  readonly screen: Screen;
  readonly errors: Writable;
  readonly logger: Logger;
  /** Calls back for each Ctrl-C or SIGTERM. */
  onStopRequest(request: () => void): Disposable;
}

/** Brings the laptop up and keeps it up until it is told to stop; gives the exit code. */
export async function weftUp(options: UpOptions): Promise<number> {
  const { screen, errors, state } = options;
  const say = (line: string): void => void screen.output.write(`${line}\n`);
  const manifests = await loadManifests(options);
  if (!manifests.ok) {
    for (const problem of manifests.error) errors.write(`${describeProblem(problem)}\n`);
    return 2;
  }
  if (options.explain) {
    explain(manifests.value, say);
    return 0;
  }
  using lock = takeLock(state.lock);
  if (lock === undefined) {
    errors.write(
      `weft: already up in ${state.root} (process ${lockHolder(state.lock)?.pid ?? "?"}): end that one first, or run "weft down"\n`,
    );
    return 1;
  }
  const stopping = new AbortController();
  // Every request of the start listens to it.
  setMaxListeners(0, stopping.signal);
  let stopNow = (): void => {};
  using _requests = options.onStopRequest(() => {
    if (stopping.signal.aborted) stopNow();
    else stopping.abort();
  });
  let exitCode = 0;
  await using background = new Scope();
  background.spawn(async (signal) => {
    if (!(await lock.lost(signal))) return;
    // Another start would take the folder for free, and both would fight over the database.
    errors.write(`weft: ${state.root} was removed while the laptop was up: stopping\n`);
    exitCode = 1;
    stopping.abort();
  });
  const startedMs = performance.now();
  let laptop: Laptop | undefined;
  try {
    laptop = await begin(options, manifests.value, say, stopping.signal);
    await showUntilReady(options, laptop, manifests.value, stopping.signal);
    await welcome(options, laptop, say, performance.now() - startedMs, stopping.signal);
    say("weft: Ctrl-C stops it; until then, in another terminal: npx weft status");
    await Promise.race([aborted(stopping.signal), laptop.failed]);
  } catch (error) {
    if (!stopping.signal.aborted) {
      fail(options, "laptop failed", error);
      exitCode = 1;
    }
  }
  if (laptop === undefined) return exitCode;
  const running = laptop;
  say("weft: stopping (Ctrl-C again: at once)");
  const stop = async (graceMs: number): Promise<void> => {
    try {
      await running.stop(graceMs);
    } catch (error) {
      // What could be ended has ended: a full disk, or a folder that is gone.
      if (exitCode === 0) fail(options, "laptop not stopped cleanly", error);
      exitCode = 1;
    }
  };
  stopNow = () => void stop(0);
  await stop(stopGraceMs);
  say("weft: stopped");
  return exitCode;
}

function fail({ errors, logger }: UpOptions, message: string, error: unknown): void {
  errors.write(`weft: ${error instanceof Error ? error.message : String(error)}\n`);
  logger.error(message, { error });
}

async function begin(
  options: UpOptions,
  manifests: Manifests,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<Laptop> {
  const { checkout, state, env } = options;
  const summary = summarizeIgnored(manifests.ignored);
  if (summary !== undefined) say(`weft: ${summary}`);
  const telemetry = shellTelemetry(env);
  for (const line of describeTelemetry(telemetry)) say(`weft: ${line}`);
  const laptop = await startLaptop({
    state,
    images: createImageResolver({ checkout, lookupHook: options.lookupHook }),
    path: env["PATH"] ?? "/usr/local/bin:/usr/bin:/bin",
    forcedEnv: telemetry.env,
    logger: options.logger,
    signal,
    notice: (line) => say(`weft: ${line}`),
  });
  try {
    const applied = await laptop.apply(manifests.objects.map(({ object }) => fromManifest(object)));
    const count = `${manifests.objects.length} objects`;
    say(
      `weft: ${count} (${applied.created} new, ${applied.changed} changed, ${applied.pruned} removed), API at ${laptop.apiUrl}`,
    );
    return laptop;
  } catch (error) {
    await laptop.stop(0);
    throw error instanceof NotApplied ? new Error(describeProblem(problemOf(error, manifests))) : error;
  }
}

async function showUntilReady(
  options: UpOptions,
  laptop: Laptop,
  manifests: Manifests,
  signal: AbortSignal,
): Promise<void> {
  const deployments = manifests.objects.filter(({ object }) => object["kind"] === "Deployment").length;
  using _board = showBoard({ screen: options.screen, lines: laptop.readiness });
  await Promise.race([
    laptop.readiness.until((lines) => lines.length >= deployments && lines.every(({ done }) => done), signal),
    laptop.failed,
  ]);
}

async function welcome(
  options: UpOptions,
  laptop: Laptop,
  say: (line: string) => void,
  tookMs: number,
  signal: AbortSignal,
): Promise<void> {
  const { elsewhere } = shellTelemetry(options.env);
  const origin = laptop.addressOf(gateway, "http");
  const traces = laptop.addressOf(traceStore, "query");
  say(`weft: up in ${(tookMs / 1_000).toFixed(1)} s`);
  if (origin !== undefined) say(`gateway  http://${origin}`);
  if (elsewhere !== undefined) say(`traces go to ${elsewhere}`);
  else if (traces !== undefined) say(`traces   http://${traces}`);
  say("ready");
  if (!options.sample || origin === undefined) return;
  try {
    const order = await placeSampleOrder({ origin: `http://${origin}`, signal });
    say(`order ${order.orderId}: ${order.what}, total ${order.total} (${Math.round(order.tookMs)} ms)`);
    if (order.traceId === undefined) return;
    say(
      elsewhere === undefined && traces !== undefined
        ? `http://${traces}/trace/${order.traceId}`
        : `trace ${order.traceId} at ${elsewhere}`,
    );
  } catch (error) {
    if (signal.aborted) throw error;
    options.errors.write(`weft: the sample order failed: ${error instanceof Error ? error.message : String(error)}\n`);
  }
}

function explain(manifests: Manifests, say: (line: string) => void): void {
  for (const { file, line, object, field, why } of manifests.ignored)
    say(`${file}:${line}: ${object}: ${field}: ${why}`);
  say(`${manifests.ignored.length} fields mean nothing on one machine; every other field is honoured`);
}

/** A rendered object has these three fields: the field table has seen them. */
function fromManifest(object: Readonly<Record<string, unknown>>): AnyObject {
  return object as AnyObject;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
