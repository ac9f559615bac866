// Runs in a Pod: calls at a fixed rate whatever the answers take (an open loop), and tells on port 9000 what came of them.
// GET / gives the figures so far; GET /stop ends the calls, waits for those in flight, and gives the last.
// With CALLS=http it POSTs the JSON of BODY to URL, with CALLS=mesh it asks the catalog for one product as a service of the mesh would.
import { Agent, createServer, request } from "node:http";
import { createClient } from "@connectrpc/connect";
import { CatalogService } from "@weft/contracts/shop/catalog/v1";
import { createMesh, runInCallScope } from "@weft/mesh";
import { createGrpcJsTransport } from "@weft/wire";
import { type SteadyResult, steadyCalls } from "../../e2e/steady.js";

const perSecond = Number(process.env["PER_SECOND"]);
const timeoutMs = Number(process.env["TIMEOUT_MS"]);
const call = process.env["CALLS"] === "mesh" ? await meshCalls() : httpCalls();

// Connections and pools on the way are opened before anything is counted: the calls are about what happens to a shop at work.
for (let round = 0; round < 5; round += 1) await Promise.allSettled(Array.from({ length: 32 }, call));

let completed = 0;
let inFlight = 0;
let mostInFlight = 0;
const failed: string[] = [];
const steady = steadyCalls(async (index) => {
  inFlight += 1;
  mostInFlight = Math.max(mostInFlight, inFlight);
  try {
    await call();
    completed += 1;
  } catch (error) {
    failed.push(`call ${index} at ${new Date().toISOString()}: ${String(error)}`);
    throw error;
  } finally {
    inFlight -= 1;
  }
}, perSecond);

let stopped: Promise<SteadyResult> | undefined;
createServer((incoming, answer) => {
  if (incoming.url === "/stop") stopped ??= steady.stop();
  void Promise.resolve(incoming.url === "/stop" ? stopped : undefined).then((result) => {
    answer.setHeader("content-type", "application/json");
    const shown = failed.slice(0, 50);
    answer.end(JSON.stringify({ completed, failed: shown, failures: failed.length, mostInFlight, sent: result?.sent }));
  });
}).listen(9000);

function httpCalls(): () => Promise<void> {
  const url = process.env["URL"] ?? "";
  const body = process.env["BODY"] ?? "{}";
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const send = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
      const sent = request(url, { method: "POST", agent, headers, timeout: timeoutMs }, (answer) => {
        let text = "";
        answer.on("data", (chunk: Buffer) => {
          text += chunk.toString();
        });
        answer.once("error", reject);
        answer.once("end", () => {
          if (answer.statusCode === 200) resolve();
          else reject(new Error(`${answer.statusCode} ${text.slice(0, 300)}`));
        });
      });
      sent.once("timeout", () => sent.destroy(new Error(`no answer within ${timeoutMs} ms`)));
      sent.once("error", (error: NodeJS.ErrnoException) => {
        // A kept connection that the server closed as the request set out: the server has not seen it, and browsers send it again too.
        if (sent.reusedSocket && error.code === "ECONNRESET") resolve(send());
        else reject(error);
      });
      sent.end(body);
    });
  return send;
}

async function meshCalls(): Promise<() => Promise<unknown>> {
  const mesh = await createMesh({
    transport: createGrpcJsTransport(),
    controlPlane: process.env["WEFT_CONTROL_PLANE"] ?? "control-plane.weft:15010",
    node: { id: `${process.env["POD_NAME"]}.${process.env["POD_NAMESPACE"]}`, namespace: "weft-tests" },
    limits: { policyRetries: process.env["POLICY_RETRIES"] !== "off" },
  });
  const catalog = createClient(CatalogService, mesh.to(process.env["TARGET"] ?? "catalog.shop"));
  const caller = { deadline: undefined, signal: new AbortController().signal, user: "load" };
  const { products } = await runInCallScope(caller, () => catalog.listProducts({ pageSize: 1 }, { timeoutMs: 60_000 }));
  const productId = products[0]?.productId ?? "";
  return () => runInCallScope(caller, () => catalog.getProduct({ productId }, { timeoutMs }));
}
