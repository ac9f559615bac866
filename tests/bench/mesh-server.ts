// A server of the mesh, as published. Prints its port.
import { create } from "@bufbuild/protobuf";
import { EchoResponseSchema, EchoService } from "@weft/contracts/weft/bench/v1";
import { serve } from "@weft/mesh";
import { createGrpcJsTransport } from "@weft/wire";

const server = await serve(
  (router) =>
    router.service(EchoService, { echo: (request) => create(EchoResponseSchema, { payload: request.payload }) }),
  { transport: createGrpcJsTransport(), host: "127.0.0.1", port: 0 },
);
process.stdout.write(`${server.port}\n`);
process.on("SIGTERM", () => process.exit(0));
