import { type Connection, type Metadata, type Status, StatusCode, type StreamOutcome } from "@weft/wire";
import { aggregateOf, responseBytesOf, writeRequest } from "./messages.js";

const service = "/grpc.testing.TestService";
const largeRequestBytes = 271_828;
const largeResponseBytes = 314_159;
const requestSizes = [27_182, 8, 1_828, 45_904];
const responseSizes = [31_415, 9, 2_653, 58_979];
const echoStatus = { code: 2, message: "test status message" };
const specialMessage = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n";
const noRequest = new Uint8Array(0);

/** A call that is under way. */
interface Call {
  readonly messages: Uint8Array[];
  readonly outcome: Promise<StreamOutcome>;
  head: Metadata;
  write(message: Uint8Array): void;
  end(): void;
  reset(status: Status): void;
  /** Resolves when this many messages have come; rejects when the call ends before. */
  received(count: number): Promise<void>;
}

function start(
  connection: Connection,
  method: string,
  options: { readonly metadata?: Metadata; readonly timeoutMs?: number } = {},
): Call {
  const messages: Uint8Array[] = [];
  const waiting: { readonly count: number; readonly resolve: () => void; readonly reject: (error: Error) => void }[] =
    [];
  let ended: (outcome: StreamOutcome) => void = () => {};
  const outcome = new Promise<StreamOutcome>((resolve) => {
    ended = resolve;
  });
  const { metadata = [], timeoutMs = 20_000 } = options;
  const stream = connection.open(
    { path: method, metadata, timeoutMs },
    {
      head: (head) => {
        call.head = head;
      },
      message: (bytes) => {
        messages.push(bytes);
        for (const wait of waiting) if (messages.length >= wait.count) wait.resolve();
      },
      end: (result) => {
        ended(result);
        for (const wait of waiting) wait.reject(new Error(`ended with ${JSON.stringify(result.status)}`));
      },
    },
  );
  stream.read(Number.MAX_SAFE_INTEGER);
  const call: Call = {
    messages,
    outcome,
    head: [],
    write: (message) => void stream.write(message),
    end: () => stream.end(),
    reset: (status) => stream.reset(status),
    received: (count) =>
      new Promise((resolve, reject) => {
        if (messages.length >= count) resolve();
        else waiting.push({ count, resolve, reject });
      }),
  };
  return call;
}

function unary(connection: Connection, method: string, request: Uint8Array, metadata: Metadata = []): Call {
  const call = start(connection, `${service}/${method}`, { metadata });
  call.write(request);
  call.end();
  return call;
}

async function expectCode(call: Call, code: StatusCode): Promise<StreamOutcome> {
  const outcome = await call.outcome;
  if (outcome.status.code !== code) throw new Error(`expected code ${code}: ${JSON.stringify(outcome.status)}`);
  return outcome;
}

function expectSame(actual: unknown, expected: unknown): void {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== b) throw new Error(`expected ${b}, got ${a}`);
}

const largeRequest = writeRequest("simple", { responseSize: largeResponseBytes, payloadBytes: largeRequestBytes });

async function largeUnary(connection: Connection): Promise<void> {
  const call = unary(connection, "UnaryCall", largeRequest);
  await expectCode(call, StatusCode.ok);
  expectSame(call.messages.map(responseBytesOf), [largeResponseBytes]);
}

/** The client's side of the cases, by the names that all of gRPC's languages use. Each rejects when it fails. */
export const cases: Readonly<Record<string, (connection: Connection) => Promise<void>>> = {
  async empty_unary(connection) {
    const call = unary(connection, "EmptyCall", noRequest);
    await expectCode(call, StatusCode.ok);
    expectSame(call.messages.length, 1);
  },
  large_unary: largeUnary,
  async client_streaming(connection) {
    const call = start(connection, `${service}/StreamingInputCall`);
    for (const payloadBytes of requestSizes) call.write(writeRequest("streaming-input", { payloadBytes }));
    call.end();
    await expectCode(call, StatusCode.ok);
    expectSame(call.messages.map(aggregateOf), [74_922]);
  },
  async server_streaming(connection) {
    const parameters = responseSizes.map((size) => ({ size, intervalUs: 0 }));
    const call = unary(connection, "StreamingOutputCall", writeRequest("streaming-output", { parameters }));
    await expectCode(call, StatusCode.ok);
    expectSame(call.messages.map(responseBytesOf), responseSizes);
  },
  async ping_pong(connection) {
    const call = start(connection, `${service}/FullDuplexCall`);
    for (const [at, size] of responseSizes.entries()) {
      const parameters = [{ size, intervalUs: 0 }];
      call.write(writeRequest("streaming-output", { parameters, payloadBytes: requestSizes[at] ?? 0 }));
      await call.received(at + 1);
    }
    call.end();
    await expectCode(call, StatusCode.ok);
    expectSame(call.messages.map(responseBytesOf), responseSizes);
  },
  async empty_stream(connection) {
    const call = start(connection, `${service}/FullDuplexCall`);
    call.end();
    await expectCode(call, StatusCode.ok);
    expectSame(call.messages.length, 0);
  },
  async timeout_on_sleeping_server(connection) {
    const call = start(connection, `${service}/FullDuplexCall`, { timeoutMs: 1 });
    call.write(writeRequest("streaming-output", { payloadBytes: 27_182 }));
    await expectCode(call, StatusCode.deadlineExceeded);
  },
  async cancel_after_begin(connection) {
    const call = start(connection, `${service}/StreamingInputCall`);
    call.reset({ code: StatusCode.cancelled, message: "" });
    await expectCode(call, StatusCode.cancelled);
  },
  async cancel_after_first_response(connection) {
    const call = start(connection, `${service}/FullDuplexCall`);
    call.write(
      writeRequest("streaming-output", { parameters: [{ size: 31_415, intervalUs: 0 }], payloadBytes: 27_182 }),
    );
    await call.received(1);
    call.reset({ code: StatusCode.cancelled, message: "" });
    await expectCode(call, StatusCode.cancelled);
  },
  async status_code_and_message(connection) {
    const simple = await expectCode(unary(connection, "UnaryCall", writeRequest("simple", { status: echoStatus })), 2);
    expectSame(simple.status.message, echoStatus.message);
    const duplex = unary(connection, "FullDuplexCall", writeRequest("streaming-output", { status: echoStatus }));
    expectSame((await expectCode(duplex, StatusCode.unknown)).status.message, echoStatus.message);
  },
  async special_status_message(connection) {
    const status = { code: 2, message: specialMessage };
    const outcome = await expectCode(unary(connection, "UnaryCall", writeRequest("simple", { status })), 2);
    expectSame(outcome.status.message, specialMessage);
  },
  async custom_metadata(connection) {
    const metadata: Metadata = [
      ["x-grpc-test-echo-initial", "test_initial_metadata_value"],
      ["x-grpc-test-echo-trailing-bin", new Uint8Array([0xab, 0xab, 0xab])],
    ];
    const request = writeRequest("streaming-output", { parameters: [{ size: 314_159, intervalUs: 0 }] });
    for (const call of [
      unary(connection, "UnaryCall", largeRequest, metadata),
      unary(connection, "FullDuplexCall", request, metadata),
    ]) {
      const { trailers } = await expectCode(call, StatusCode.ok);
      expectSame(
        call.head.filter(([name]) => name.startsWith("x-")),
        [metadata[0]],
      );
      expectSame(
        trailers.filter(([name]) => name.startsWith("x-")).map(([, value]) => [...Buffer.from(value)]),
        [[0xab, 0xab, 0xab]],
      );
    }
  },
  async unimplemented_method(connection) {
    await expectCode(unary(connection, "UnimplementedCall", noRequest), StatusCode.unimplemented);
  },
  async unimplemented_service(connection) {
    const call = start(connection, "/grpc.testing.UnimplementedService/UnimplementedCall");
    call.write(noRequest);
    call.end();
    await expectCode(call, StatusCode.unimplemented);
  },
  async rpc_soak(connection) {
    for (let i = 0; i < 10; i += 1) await largeUnary(connection);
  },
  async concurrent_large_unary(connection) {
    await Promise.all(Array.from({ length: 200 }, () => largeUnary(connection)));
  },
};
