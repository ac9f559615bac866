import { create } from "@bufbuild/protobuf";
import { Code, createClient, type HandlerContext } from "@connectrpc/connect";
import { EchoResponseSchema, EchoService } from "@weft/contracts/weft/bench/v1";
import { eventually } from "@weft/foundation/testing";
import { createGrpcJsTransport } from "@weft/wire";
import { expect, test } from "vitest";
import { runDetached } from "./call-scope.js";
import { createMesh } from "./mesh.js";
import { clusterOf, routedTarget, TestControlPlane } from "./testing/index.js";

const transport = createGrpcJsTransport();

/** front → back, both in the mesh; `front` calls `back` the way a test says. */
async function startChain(options: {
  readonly back: (context: HandlerContext) => Promise<void> | void;
  readonly callBack?: (call: () => Promise<unknown>) => Promise<unknown>;
}) {
  const plane = new TestControlPlane(transport);
  await plane.start();
  const mesh = await createMesh({ transport, controlPlane: plane.address, node: { id: "t.shop", namespace: "shop" } });
  const answer = create(EchoResponseSchema);
  const at = { host: "127.0.0.1", port: 0 };
  const back = await mesh.serve(
    (router) =>
      router.service(EchoService, {
        async echo(_request, context) {
          await options.back(context);
          return answer;
        },
      }),
    at,
  );
  const toBack = createClient(EchoService, mesh.to("back"));
  const callBack = options.callBack ?? ((call) => call());
  const front = await mesh.serve(
    (router) =>
      router.service(EchoService, {
        async echo() {
          await callBack(() => toBack.echo({}, { headers: { "weft-user": "mallory" } }));
          return answer;
        },
      }),
    at,
  );
  plane.publish([
    ...routedTarget("front.shop"),
    ...clusterOf("front.shop", [{ port: front.port }]),
    ...routedTarget("back.shop"),
    ...clusterOf("back.shop", [{ port: back.port }]),
  ]);
  return {
    client: createClient(EchoService, mesh.to("front")),
    async [Symbol.asyncDispose]() {
      await mesh[Symbol.asyncDispose]();
      await plane[Symbol.asyncDispose]();
    },
  };
}

test("the user of a call goes on to every call made in its scope, whatever the handler says", async () => {
  const users: (string | null)[] = [];
  await using chain = await startChain({
    back: ({ requestHeader }) => void users.push(requestHeader.get("weft-user")),
  });
  await chain.client.echo({}, { headers: { "weft-user": "ada" }, timeoutMs: 5_000 });
  expect(users).toEqual(["ada"]);
});

test("a call inside ends no later than the call that it serves", async () => {
  const left: (number | undefined)[] = [];
  await using chain = await startChain({ back: (context) => void left.push(context.timeoutMs()) });
  await chain.client.echo({}, { timeoutMs: 5_000 });
  expect(left[0]).toBeGreaterThan(0);
  expect(left[0]).toBeLessThanOrEqual(5_000);
});

test("a caller that gives up takes the calls inside with it", async () => {
  let backCancelled = false;
  let backReached = false;
  await using chain = await startChain({
    back: async ({ signal }) => {
      backReached = true;
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
      backCancelled = true;
    },
  });
  const giveUp = new AbortController();
  const call = chain.client.echo({}, { signal: giveUp.signal, timeoutMs: 10_000 });
  const failed = expect(call).rejects.toMatchObject({ code: Code.Canceled });
  await eventually(() => backReached, { ceilingMs: 5_000 });
  giveUp.abort();
  await failed;
  await eventually(() => backCancelled, { ceilingMs: 5_000 });
});

test("a signal that has aborted before the call sends nothing", async () => {
  await using chain = await startChain({ back: () => {} });
  await expect(chain.client.echo({}, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: Code.Canceled });
});

test("work that is detached from its call inherits neither user nor deadline", async () => {
  const seen: { user: string | null; timeoutMs: number | undefined }[] = [];
  await using chain = await startChain({
    back: (context) => void seen.push({ user: context.requestHeader.get("weft-user"), timeoutMs: context.timeoutMs() }),
    callBack: (call) => runDetached(call),
  });
  await chain.client.echo({}, { headers: { "weft-user": "ada" }, timeoutMs: 5_000 });
  expect(seen).toEqual([{ user: "mallory", timeoutMs: undefined }]);
});

test("a handler that makes many calls at once brings no warning about listeners", async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error): void => void warnings.push(warning);
  process.on("warning", onWarning);
  await using chain = await startChain({
    back: () => {},
    callBack: (call) => Promise.all(Array.from({ length: 30 }, call)),
  });
  await chain.client.echo({}, { timeoutMs: 5_000 });
  await new Promise((resolve) => setImmediate(resolve));
  process.off("warning", onWarning);
  expect(warnings).toEqual([]);
});
