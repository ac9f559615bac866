import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { CartService } from "@weft/contracts/shop/cart/v1";
import { CatalogService } from "@weft/contracts/shop/catalog/v1";
import { InventoryService } from "@weft/contracts/shop/inventory/v1";
import { OrderService } from "@weft/contracts/shop/orders/v1";
import { PaymentService } from "@weft/contracts/shop/payments/v1";
import { ShippingService } from "@weft/contracts/shop/shipping/v1";
import { eventually } from "@weft/foundation/testing";
import { createKubeClient, type KubeClient, parseKubeconfig } from "@weft/kube";

const root = fileURLToPath(new URL("../..", import.meta.url));
const launcher = join(root, "programs/cli/bin/weft.js");

/** What a command printed, and how it ended. */
export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A laptop cluster of its own, started as a user starts it, from the bundles in the checkout. */
export interface Laptop extends AsyncDisposable {
  readonly state: string;
  readonly kubeconfig: string;
  readonly client: KubeClient;
  /** The API's address, `https://host:port`. */
  readonly apiUrl: string;
  /** The token of the kubeconfig. */
  readonly apiToken: string;
  readonly gatewayUrl: string;
  /** Where its own trace store is, or where traces go instead. */
  readonly tracesUrl: string;
  readonly supervisor: ChildProcess;
  /** Everything that `weft up` has printed. */
  output(): string;
  /** Runs a `weft` command against this cluster. */
  weft(...args: readonly string[]): Promise<CommandResult>;
  /** Runs a program with KUBECONFIG set to this cluster. */
  kubectl(args: readonly string[], input?: string): Promise<CommandResult>;
  /** Ends it as Ctrl-C does and gives the exit code; the state folder stays until disposal. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/** A new folder for the state of a cluster, removed at disposal with all that the cluster kept elsewhere. */
export async function newState(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "weft-e2e-"));
  return {
    path,
    async [Symbol.asyncDispose]() {
      await run(process.execPath, [launcher, "reset", "--state", path]);
      await rm(path, { recursive: true, force: true });
    },
  };
}

/** Starts a cluster and waits until every Deployment is ready. */
export async function startLaptop(
  options: { readonly state?: string; readonly args?: readonly string[]; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<Laptop> {
  const owned = options.state === undefined ? await newState() : undefined;
  const state = options.state ?? owned?.path ?? "";
  const args = ["up", "--state", state, "--no-sample", ...(options.args ?? [])];
  const supervisor = spawn(process.execPath, [launcher, ...args], {
    cwd: root,
    env: { ...process.env, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  supervisor.stdout?.on("data", (chunk: Buffer) => {
    printed += chunk.toString();
  });
  supervisor.stderr?.on("data", (chunk: Buffer) => {
    printed += chunk.toString();
  });
  const exited = new Promise<number | null>((resolve) => supervisor.once("exit", (code) => resolve(code)));

  const stop = async (signal: NodeJS.Signals = "SIGINT"): Promise<number | null> => {
    if (supervisor.exitCode === null && supervisor.signalCode === null) supervisor.kill(signal);
    return await exited;
  };
  const dispose = async (): Promise<void> => {
    await stop();
    await owned?.[Symbol.asyncDispose]();
  };

  try {
    await eventually(
      () => {
        if (supervisor.exitCode !== null) throw new Error(`weft up ended with ${supervisor.exitCode}:\n${printed}`);
        return /^ready$/m.test(printed);
      },
      { ceilingMs: 150_000, everyMs: 50, what: "the laptop cluster" },
    );
  } catch (error) {
    await dispose();
    throw new Error(`the laptop cluster did not become ready:\n${printed}`, { cause: error });
  }

  const kubeconfig = join(state, "kubeconfig");
  const context = parseKubeconfig(await readFile(kubeconfig, "utf8"));
  if (!context.ok) throw new Error(String(context.error));
  return {
    state,
    kubeconfig,
    client: createKubeClient(context.value),
    apiUrl: context.value.server,
    apiToken: context.value.token?.() ?? "",
    gatewayUrl: addressAfter("gateway", printed),
    tracesUrl: addressAfter("traces", printed),
    supervisor,
    output: () => printed,
    weft: (...command) => run(process.execPath, [launcher, ...command, "--state", state]),
    kubectl: (command, input) => run("kubectl", command, { env: { ...process.env, KUBECONFIG: kubeconfig }, input }),
    stop,
    [Symbol.asyncDispose]: dispose,
  };
}

function addressAfter(word: string, printed: string): string {
  const url = new RegExp(`^${word}\\s+(?:go to )?(http://\\S+)$`, "m").exec(printed)?.[1];
  if (url === undefined) throw new Error(`weft up printed no line "${word} http://…":\n${printed}`);
  return url;
}

/** Runs a program to its end and gives what it printed; never rejects for an exit code. */
export function run(
  command: string,
  args: readonly string[],
  options: { readonly env?: NodeJS.ProcessEnv; readonly input?: string | undefined; readonly cwd?: string } = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: options.cwd ?? root, env: options.env ?? process.env, stdio: "pipe" });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    child.stderr.on("data", (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, stdout, stderr }));
    // A program that ends without reading its input has closed it.
    child.stdin.once("error", () => {});
    child.stdin.end(options.input ?? "");
  });
}

/** The shop's public API, as a browser or an app calls it. */
export function shopClients(gatewayUrl: string) {
  const transport = createConnectTransport({ baseUrl: gatewayUrl, httpVersion: "1.1" });
  return {
    cart: createClient(CartService, transport),
    catalog: createClient(CatalogService, transport),
    inventory: createClient(InventoryService, transport),
    orders: createClient(OrderService, transport),
    payments: createClient(PaymentService, transport),
    shipping: createClient(ShippingService, transport),
  };
}
