import { create } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { credentials, loadPackageDefinition, type ServiceClientConstructor } from "@grpc/grpc-js";
import { loadFileDescriptorSetFromBuffer } from "@grpc/proto-loader";
import { codecOf } from "@weft/codec";
import { ServerReflection } from "@weft/contracts/grpc/reflection/v1";
import { OrderService } from "@weft/contracts/shop/orders/v1";
import { okStatus } from "@weft/wire";
import { describe, expect, test } from "vitest";
import { reflectionV1AlphaPath } from "./reflection.js";
import { serve } from "./serve.js";
import { onLoopback } from "./testing/fixture.js";
import { ForeignClient } from "./testing/foreign-client.js";
import { KindsService } from "./testing/kinds-service.js";

const { serverReflectionInfo } = ServerReflection.method;

async function serveShop() {
  return await serve(
    (router) =>
      router.service(OrderService, {}).service(KindsService, { one: (request) => ({ value: request.value }) }),
    onLoopback,
  );
}

describe("reflection", () => {
  test("lists the services", async () => {
    await using server = await serveShop();
    using client = new ForeignClient(server.port);
    const reply = await client.call(serverReflectionInfo, [{ messageRequest: { case: "listServices", value: "" } }]);
    const response = reply.messages[0]?.messageResponse;
    const names = response?.case === "listServicesResponse" ? response.value.service.map(({ name }) => name) : [];
    expect(names.sort()).toEqual([
      "grpc.health.v1.Health",
      "grpc.reflection.v1.ServerReflection",
      "shop.orders.v1.OrderService",
      "weft.test.v1.KindsService",
    ]);
  });

  test("gives a file with all that it imports, each before who imports it, once a stream", async () => {
    await using server = await serveShop();
    using client = new ForeignClient(server.port);
    const reply = await client.call(serverReflectionInfo, [
      { messageRequest: { case: "fileContainingSymbol", value: "shop.orders.v1.OrderService" } },
      { messageRequest: { case: "fileByFilename", value: "shop/orders/v1/orders.proto" } },
    ]);
    const files = filesOf(reply.messages[0]).map((file) => file.name);
    expect(files.at(-1)).toBe("shop/orders/v1/orders.proto");
    expect(files).toContain("google/protobuf/timestamp.proto");
    expect(files).toContain("google/protobuf/descriptor.proto");
    expect(new Set(files).size).toBe(files.length);
    expect(filesOf(reply.messages[1]).map((file) => file.name)).toEqual(["shop/orders/v1/orders.proto"]);
  });

  test.each([
    "shop.orders.v1.OrderService.PlaceOrder",
    "shop.orders.v1.Order",
    "shop.orders.v1.Order.order_id",
    "shop.orders.v1.OrderState",
    "shop.orders.v1.ORDER_STATE_PLACED",
  ])("finds the file of %s", async (symbol) => {
    await using server = await serveShop();
    using client = new ForeignClient(server.port);
    const reply = await client.call(serverReflectionInfo, [
      { messageRequest: { case: "fileContainingSymbol", value: symbol } },
    ]);
    expect(filesOf(reply.messages[0]).at(-1)?.name).toBe("shop/orders/v1/orders.proto");
  });

  test("knows extensions by number", async () => {
    await using server = await serveShop();
    using client = new ForeignClient(server.port);
    const type = "google.protobuf.MethodOptions";
    const numbers = await client.call(serverReflectionInfo, [
      { messageRequest: { case: "allExtensionNumbersOfType", value: type } },
    ]);
    const response = numbers.messages[0]?.messageResponse;
    const [extensionNumber = 0] =
      response?.case === "allExtensionNumbersResponse" ? response.value.extensionNumber : [];
    expect(extensionNumber).toBeGreaterThan(0);
    const file = await client.call(serverReflectionInfo, [
      { messageRequest: { case: "fileContainingExtension", value: { containingType: type, extensionNumber } } },
    ]);
    expect(filesOf(file.messages[0]).at(-1)?.name).toBe("weft/options/v1/options.proto");
  });

  test("answers NOT_FOUND for what it does not know, and goes on", async () => {
    await using server = await serveShop();
    using client = new ForeignClient(server.port);
    const reply = await client.call(serverReflectionInfo, [
      { messageRequest: { case: "fileContainingSymbol", value: "no.Such" } },
      { messageRequest: { case: "fileByFilename", value: "no/such.proto" } },
      { messageRequest: { case: undefined } },
      { messageRequest: { case: "listServices", value: "" } },
    ]);
    expect(reply.messages.map(({ messageResponse }) => messageResponse.case)).toEqual([
      "errorResponse",
      "errorResponse",
      "errorResponse",
      "listServicesResponse",
    ]);
  });

  test("is also served by the name it had before v1", async () => {
    await using server = await serveShop();
    const connection = onLoopback.transport.connect({ host: "127.0.0.1", port: server.port });
    await using _closing = connection;
    await connection.state.until((state) => state.t === "ready", AbortSignal.timeout(10_000));
    const codec = codecOf(serverReflectionInfo.input);
    const request = codec.encode(
      create(serverReflectionInfo.input, { messageRequest: { case: "listServices", value: "" } }),
    );
    const received: Uint8Array[] = [];
    const status = await new Promise((resolve) => {
      const stream = connection.open(
        { path: reflectionV1AlphaPath, metadata: [] },
        { head() {}, message: (bytes) => void received.push(bytes), end: (outcome) => resolve(outcome.status) },
      );
      stream.read(2);
      stream.write(request);
      stream.end();
    });
    expect(status).toEqual(okStatus);
    expect(received).toHaveLength(1);
  });

  test("is enough for a foreign client to call a service that it knew nothing of", async () => {
    await using server = await serveShop();
    using client = new ForeignClient(server.port);
    const reply = await client.call(serverReflectionInfo, [
      { messageRequest: { case: "fileContainingSymbol", value: "weft.test.v1.KindsService" } },
    ]);
    const set = create(FileDescriptorSetSchema, { file: filesOf(reply.messages[0]) });
    const definition = loadFileDescriptorSetFromBuffer(Buffer.from(codecOf(FileDescriptorSetSchema).encode(set)));
    const Stub = parseStub(definition, "weft.test.v1.KindsService");
    const stub = new Stub(`127.0.0.1:${server.port}`, credentials.createInsecure());
    const answer = await new Promise((resolve, reject) => {
      stub["One"]?.({ value: "found" }, (error: unknown, value: unknown) => (error ? reject(error) : resolve(value)));
    });
    stub.close();
    expect(answer).toMatchObject({ value: "found" });
  });
});

function filesOf(
  message: { readonly messageResponse: { readonly case: string | undefined; readonly value?: unknown } } | undefined,
): FileDescriptorProto[] {
  const { messageResponse } = message ?? {};
  if (messageResponse?.case !== "fileDescriptorResponse") return [];
  const { fileDescriptorProto } = parseFiles(messageResponse.value);
  return fileDescriptorProto.flatMap((bytes) => {
    const file = codecOf(FileDescriptorProtoSchema).decode(bytes);
    return file.ok ? [file.value] : [];
  });
}

function parseFiles(value: unknown): { readonly fileDescriptorProto: readonly Uint8Array[] } {
  return value as { readonly fileDescriptorProto: readonly Uint8Array[] };
}

function parseStub(
  definition: ReturnType<typeof loadFileDescriptorSetFromBuffer>,
  name: string,
): ServiceClientConstructor {
  let node: unknown = loadPackageDefinition(definition);
  for (const part of name.split(".")) node = Reflect.get(Object(node), part);
  return node as ServiceClientConstructor;
}
