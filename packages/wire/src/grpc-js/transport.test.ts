import { runTransportContract } from "../testing/contract.js";
import { createGrpcJsTransport } from "./transport.js";

runTransportContract("grpc-js", createGrpcJsTransport);
