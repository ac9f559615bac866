import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { EchoService } from "@weft/contracts/weft/bench/v1";
import { eventually } from "@weft/foundation/testing";
import { createGrpcJsTransport } from "@weft/wire";
import { expect, test } from "vitest";
import { createMesh } from "../mesh.js";
import { serve } from "../server/serve.js";

const transport = createGrpcJsTransport();
const payload = new Uint8Array([1]);

/** A client of a server whose stream goes as the test says. */
async function start(echoEach: EachHandler) {
  const server = await serve((router) => router.service(EchoService, { echoEach }), {
    transport,
    host: "127.0.0.1",
    port: 0,
  });
  const mesh = await createMesh({ transport, node: { id: "t.shop", namespace: "shop" } });
  const connect = mesh.to(`dns:///127.0.0.1:${server.port}`);
  return {
    client: createClient(EchoService, connect),
    connect,
    async [Symbol.asyncDispose]() {
      await mesh[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}
type EachHandler = () => AsyncGenerator<{ payload: Uint8Array }>;

test("a request iterable that waits is told when the server ends the call", async () => {
  // biome-ignore lint/correctness/useYield: it ends before it has anything to say
  await using chain = await start(async function* () {
    throw new ConnectError("enough", Code.Aborted);
  });
  let returned = 0;
  const endless: AsyncIterable<{ payload: Uint8Array }> = {
    [Symbol.asyncIterator]: () => ({
      next: () => new Promise(() => {}),
      async return() {
        returned += 1;
        return { done: true, value: undefined };
      },
    }),
  };
  const read = async (): Promise<void> => {
    for await (const _ of chain.client.echoEach(endless, { timeoutMs: 5_000 })) break;
  };
  await expect(read()).rejects.toMatchObject({ code: Code.Aborted });
  await eventually(() => returned === 1, { ceilingMs: 5_000 });
});

test("a reader that asks twice before anything has come gets both messages", async () => {
  await using chain = await start(async function* () {
    await new Promise((resolve) => setTimeout(resolve, 20));
    yield { payload };
    yield { payload };
  });
  const { message } = await chain.connect.stream(
    EchoService.method.echoEach,
    undefined,
    5_000,
    undefined,
    (async function* () {})(),
  );
  const reader = message[Symbol.asyncIterator]();
  const both = await Promise.all([reader.next(), reader.next()]);
  expect(both.map(({ done }) => done)).toEqual([false, false]);
  expect((await reader.next()).done).toBe(true);
});

test("a request that its type forbids fails the call with a ConnectError, and sends nothing", async () => {
  await using chain = await start(async function* () {});
  const wrong: { payload: Uint8Array } = JSON.parse('{"payload": 5}');
  await expect(chain.client.echo(wrong, { timeoutMs: 5_000 })).rejects.toMatchObject({
    name: "ConnectError",
    code: Code.Internal,
  });
});
