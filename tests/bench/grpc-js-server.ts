// The yardstick's server: bare @grpc/grpc-js with protobuf-es and default options. Prints its port.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type handleUnaryCall, Server, ServerCredentials } from "@grpc/grpc-js";
import {
  type EchoRequest,
  EchoRequestSchema,
  type EchoResponse,
  EchoResponseSchema,
} from "@weft/contracts/weft/bench/v1";

const server = new Server();
const echo: handleUnaryCall<EchoRequest, EchoResponse> = (call, answer) => {
  answer(null, create(EchoResponseSchema, { payload: call.request.payload }));
};
server.addService(
  {
    echo: {
      path: "/weft.bench.v1.EchoService/Echo",
      requestStream: false,
      responseStream: false,
      requestDeserialize: (bytes: Buffer) => fromBinary(EchoRequestSchema, bytes),
      requestSerialize: (message: EchoRequest) => Buffer.from(toBinary(EchoRequestSchema, message)),
      responseDeserialize: (bytes: Buffer) => fromBinary(EchoResponseSchema, bytes),
      responseSerialize: (message: EchoResponse) => Buffer.from(toBinary(EchoResponseSchema, message)),
    },
  },
  { echo },
);
server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  process.stdout.write(`${port}\n`);
});
process.on("SIGTERM", () => process.exit(0));
