import { Code, ConnectError } from "@connectrpc/connect";
import { status as grpcStatus } from "@grpc/grpc-js";
import { EchoService } from "@weft/contracts/weft/bench/v1";
import { createGrpcJsTransport } from "@weft/wire";
import { expect, test } from "vitest";
import { serve } from "./serve.js";
import { ForeignClient } from "./testing/foreign-client.js";

const at = { transport: createGrpcJsTransport(), host: "127.0.0.1", port: 0 };

test("a foreign client calls a Connect handler", async () => {
  await using server = await serve(
    (router) => router.service(EchoService, { echo: (request) => ({ payload: request.payload }) }),
    at,
  );
  using client = new ForeignClient(server.port);
  const reply = await client.call(EchoService.method.echo, [{ payload: Uint8Array.of(1, 2) }]);
  expect(reply.status.code).toBe(grpcStatus.OK);
  expect(reply.messages[0]?.payload).toEqual(Uint8Array.of(1, 2));
});

test("a handler that throws is INTERNAL, a method without one UNIMPLEMENTED", async () => {
  await using server = await serve(
    (router) =>
      router.service(EchoService, {
        echo: () => {
          throw new ConnectError("no", Code.NotFound);
        },
      }),
    at,
  );
  using client = new ForeignClient(server.port);
  expect((await client.call(EchoService.method.echo, [{}])).status).toMatchObject({
    code: grpcStatus.NOT_FOUND,
    details: "no",
  });
  expect((await client.call(EchoService.method.echoEach, [{}])).status.code).toBe(grpcStatus.UNIMPLEMENTED);
});
