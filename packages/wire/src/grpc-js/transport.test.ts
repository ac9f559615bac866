import { runTransportContract } from "../testing/contract.js";
import { createGrpcJsTransport } from "./transport.js";

runTransportContract("grpc-js", createGrpcJsTransport, { gaps: ["cancel-looks-finished", "long-timeout-wraps"] });
