// A client of the mesh, as published: name, route, cluster and endpoint by xDS from a control plane in this process.
// Takes port, calls in flight and milliseconds; prints a Round as JSON.
import { create } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { EchoRequestSchema, EchoService } from "@weft/contracts/weft/bench/v1";
import { createMesh, runInCallScope } from "@weft/mesh";
import { clusterOf, routedTarget, TestControlPlane } from "@weft/mesh/testing";
import { createGrpcJsTransport } from "@weft/wire";
import { runLoad } from "./load.js";

const [port = 0, inFlight = 1, durationMs = 1_000] = process.argv.slice(2).map(Number);
const transport = createGrpcJsTransport();
const name = "echo.bench";
await using controlPlane = new TestControlPlane(transport);
controlPlane.publish([...routedTarget(name), ...clusterOf(name, [{ port }])]);
await controlPlane.start();
await using mesh = await createMesh({
  transport,
  controlPlane: controlPlane.address,
  node: { id: "client.bench", namespace: "bench" },
});
const client = createClient(EchoService, mesh.to(name));
const request = create(EchoRequestSchema, { payload: new Uint8Array(64).fill(7) });
const caller = { deadline: undefined, signal: new AbortController().signal, user: "bench" };
const call = () => runInCallScope(caller, () => client.echo(request, { timeoutMs: 10_000 }));

await runLoad(call, inFlight, 500);
process.stdout.write(`${JSON.stringify(await runLoad(call, inFlight, durationMs))}\n`);
