// The yardstick's client: one bare @grpc/grpc-js channel. Takes port, calls in flight and milliseconds; prints a Round as JSON.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import {
  type EchoRequest,
  EchoRequestSchema,
  type EchoResponse,
  EchoResponseSchema,
} from "@weft/contracts/weft/bench/v1";
import { runLoad } from "./load.js";

const [port, inFlight, durationMs] = process.argv.slice(2).map(Number);
const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
const request = create(EchoRequestSchema, { payload: new Uint8Array(64).fill(7) });
const metadata = new Metadata();
metadata.set("weft-user", "bench");

const call = (): Promise<EchoResponse> =>
  new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      "/weft.bench.v1.EchoService/Echo",
      (message: EchoRequest) => Buffer.from(toBinary(EchoRequestSchema, message)),
      (bytes: Buffer) => fromBinary(EchoResponseSchema, bytes),
      request,
      metadata,
      { deadline: Date.now() + 10_000 },
      (error, reply) => (error || reply === undefined ? reject(error ?? new Error("no reply")) : resolve(reply)),
    );
  });

await runLoad(call, inFlight ?? 1, 500);
process.stdout.write(`${JSON.stringify(await runLoad(call, inFlight ?? 1, durationMs ?? 1_000))}\n`);
client.close();
