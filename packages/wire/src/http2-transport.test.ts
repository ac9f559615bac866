import { createHttp2Transport } from "./http2-transport.js";
import { runTransportContract } from "./testing/contract.js";

runTransportContract("http2", createHttp2Transport);
