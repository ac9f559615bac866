import { randomInt } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { PaymentService } from "@weft/contracts/shop/payments/v1";
import { sleep } from "@weft/foundation";
import { kinds } from "@weft/kube";
import { type CommandContext, kubeconfigOf, withCluster } from "../context.js";
import { forwardTo } from "../forward.js";
import { createLedger } from "../load/ledger.js";
import { progressLine, progressTable, summary, summaryJson } from "../load/report.js";
import { runLoad } from "../load/run-load.js";
import { createScreen } from "../load/screen.js";
import type { TestCard } from "../load/test-cards.js";
import { CommandError, interruptible } from "../terminal.js";

const defaults = { rate: 10, users: 50 };
const most = { rate: 10_000, users: 100_000, minutes: 60 * 24 * 31 };
const firstCallMs = 5_000;

/** Shops until the time is over or Ctrl-C; 1 when something went wrong that should not have. */
export async function load(context: CommandContext): Promise<number> {
  const perSecond = numberFrom(context, "rate", { least: 0.01, most: most.rate }) ?? defaults.rate;
  const users = numberFrom(context, "users", { least: 1, most: most.users, whole: true }) ?? defaults.users;
  const minutes = numberFrom(context, "minutes", { least: 0.001, most: most.minutes });
  const seed = numberFrom(context, "seed", { least: 0, most: 2 ** 31 - 1, whole: true }) ?? randomInt(2 ** 31 - 1);
  const ask = { perSecond, users, minutes, seed };
  if (context.text("gateway") !== undefined || kubeconfigOf(context) === undefined)
    return await shopAt(context, await gatewayOf(context), ask);
  return await withCluster(context, async (client) => {
    await using gateway = await forwardTo(client, "weft/gateway", "http");
    return await shopAt(context, gateway.url, ask);
  });
}

interface LoadAsk {
  readonly perSecond: number;
  readonly users: number;
  readonly minutes: number | undefined;
  readonly seed: number;
}

async function shopAt(context: CommandContext, gatewayUrl: string, ask: LoadAsk): Promise<number> {
  const { perSecond, users, minutes, seed } = ask;
  const json = context.text("json");
  const { stdout, stderr } = context.terminal;
  const cards = await publishedCards(gatewayUrl);
  if (cards.length === 0) stderr.write("weft: payments publishes no test cards here: nobody will order anything\n");
  stdout.write(`shopping at ${gatewayUrl}: ${perSecond} calls/s by ${users} users, seed ${seed}; Ctrl-C ends it\n`);

  using interrupt = interruptible();
  const ended = new AbortController();
  const ledger = createLedger();
  const screen = createScreen(stdout);
  const startMs = performance.now();
  let present = 0;
  const shown = showUntil(ended.signal, screen.everyMs, (windowMs) => {
    const tally = ledger.tally();
    const elapsedMs = performance.now() - startMs;
    const progress = { elapsedMs, perSecond, present, window: ledger.takeWindow(), windowMs };
    screen.show({ line: () => progressLine(progress, tally), table: () => progressTable(progress, tally) });
  });
  try {
    await runLoad({
      gatewayUrl,
      perSecond,
      users,
      durationMs: minutes === undefined ? Number.MAX_SAFE_INTEGER : minutes * 60_000,
      seed,
      cards,
      ledger,
      signal: interrupt.signal,
      onPresence(count) {
        present = count;
      },
    });
  } finally {
    ended.abort();
    await shown;
  }
  const elapsedMs = performance.now() - startMs;
  const tally = ledger.tally();
  stdout.write(summary(tally, elapsedMs));
  if (json !== undefined)
    await writeFile(json, summaryJson(tally, { gateway: gatewayUrl, seed, rate: perSecond, users }, elapsedMs));
  return tally.all.failed === 0 ? 0 : 1;
}

async function showUntil(signal: AbortSignal, everyMs: number, show: (windowMs: number) => void): Promise<void> {
  let lastMs = performance.now();
  for (;;) {
    try {
      await sleep(everyMs, { signal });
    } catch {
      // The run is over: the summary follows.
      return;
    }
    const nowMs = performance.now();
    show(nowMs - lastMs);
    lastMs = nowMs;
  }
}

/** The address that was given, or that of the laptop's gateway. */
async function gatewayOf(context: CommandContext): Promise<string> {
  const given = context.text("gateway");
  if (given !== undefined) {
    if (!URL.canParse(given) || !/^https?:$/.test(new URL(given).protocol))
      throw new CommandError(`--gateway takes an address such as http://127.0.0.1:8080, not "${given}"`, 2);
    return given.replace(/\/+$/, "");
  }
  let url = "";
  await withCluster(context, async (client) => {
    const service = await client.get(kinds.service, { namespace: "weft", name: "gateway" });
    const ingress = service.status?.loadBalancer?.ingress?.[0];
    const port = ingress?.ports?.[0]?.port ?? service.spec.ports?.[0]?.port;
    const host = ingress?.ip ?? ingress?.hostname;
    if (host === undefined || port === undefined)
      throw new CommandError("the gateway has no address outside the cluster: give one with --gateway");
    url = `http://${host}:${port}`;
    return 0;
  });
  return url;
}

/** The cards that the payment service publishes for trying the shop out: also the first call, which tells whether anybody is there. */
async function publishedCards(gatewayUrl: string): Promise<readonly TestCard[]> {
  const payments = createClient(PaymentService, createConnectTransport({ baseUrl: gatewayUrl, httpVersion: "1.1" }));
  try {
    const { cards } = await payments.listTestCards({}, { timeoutMs: firstCallMs });
    return cards.map(({ cardNumber, behaviour }) => ({ number: cardNumber, behaviour }));
  } catch (error) {
    throw new CommandError(`the shop at ${gatewayUrl} does not answer: ${ConnectError.from(error).message}`);
  }
}

function numberFrom(
  context: CommandContext,
  option: string,
  range: { readonly least: number; readonly most: number; readonly whole?: boolean },
): number | undefined {
  const text = context.text(option);
  if (text === undefined) return undefined;
  const value = Number(text);
  const fits = /^\d+(\.\d+)?$/.test(text) && value >= range.least && value <= range.most;
  if (!fits || (range.whole === true && !Number.isInteger(value))) {
    const form = range.whole === true ? "a whole number" : "a number";
    throw new CommandError(`--${option} takes ${form} from ${range.least} to ${range.most}, not "${text}"`, 2);
  }
  return value;
}
