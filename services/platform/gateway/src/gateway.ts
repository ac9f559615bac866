import type { DescService } from "@bufbuild/protobuf";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { type Clock, type Logger, silentLogger, systemClock } from "@weft/foundation";
import { createTelemetry, type Telemetry } from "@weft/mesh";
import { contractMessages } from "./operation/contracts.js";
import { publicOperations } from "./operation/operation.js";
import { createAdmission } from "./pipeline/admission.js";
import { deadlines } from "./pipeline/deadline.js";
import { pipelineOf } from "./pipeline/edge-call.js";
import { presentErrors } from "./pipeline/errors.js";
import { principal } from "./pipeline/principal.js";
import { requestId } from "./pipeline/request-id.js";
import { traced } from "./pipeline/trace.js";
import { connectRoutes, peerValues } from "./protocol/connect/routes.js";
import { createCors } from "./server/cors.js";
import { openEdgeServer } from "./server/edge-server.js";
import { createMeshUpstream, type UpstreamMesh } from "./upstream/mesh-upstream.js";
import type { TargetOverrides } from "./upstream/targets.js";

/** What a client may ask of the gateway. */
export interface GatewayLimits {
  /** The largest request message, decompressed. Default 1 MiB. */
  readonly maxBodyBytes: number;
  /** All headers of a request together. Default 16 KiB. */
  readonly maxHeaderBytes: number;
  /** Calls at one time. Default 512. */
  readonly maxCalls: number;
  /** Streams among them. Default 256. */
  readonly maxStreams: number;
  /** Connections at one time. Default 1024. */
  readonly maxConnections: number;
  /** How long a request may take to arrive. Default 10 s. */
  readonly readTimeoutMs: number;
  /** The longest a call with one reply may take. Default 15 s. */
  readonly unaryTimeoutMs: number;
  /** The longest a stream may take. Default 15 min. */
  readonly streamTimeoutMs: number;
}

export const defaultLimits: GatewayLimits = {
  maxBodyBytes: 1024 * 1024,
  maxHeaderBytes: 16 * 1024,
  maxCalls: 512,
  maxStreams: 256,
  maxConnections: 1024,
  readTimeoutMs: 10_000,
  unaryTimeoutMs: 15_000,
  streamTimeoutMs: 15 * 60_000,
};

export interface GatewayOptions {
  readonly services: readonly DescService[];
  readonly mesh: UpstreamMesh;
  readonly host: string;
  readonly port: number;
  /** Pages that may call; `*` for all. Default none. */
  readonly origins?: readonly string[];
  readonly overrides?: TargetOverrides;
  readonly limits?: Partial<GatewayLimits>;
  readonly clock?: Clock;
  readonly logger?: Logger;
  readonly telemetry?: Telemetry;
}

/** The public edge, listening. */
export interface Gateway extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** The operations that it offers, by name. */
  readonly operations: readonly string[];
  /** Calls that are under way. */
  readonly underWay: number;
  /** Serves on, and asks clients to go elsewhere with what comes next: for the time between a process' not being ready any more and its drain. */
  retire(): void;
  /** Lets no call in, waits for those under way, and ends with UNAVAILABLE what is left after `timeoutMs`. */
  drain(timeoutMs: number): Promise<void>;
}

/** How long clients have to hear of the end of calls that were cut off. */
const lastWordsMs = 500;

/**
 * Opens the gateway: protocol → operation → pipeline → upstream.
 * An operation is a public method of the services; a protocol turns its requests into calls of an operation.
 */
export async function createGateway(options: GatewayOptions): Promise<Gateway> {
  const { services, mesh, clock = systemClock, logger = silentLogger, overrides = new Map() } = options;
  const limits = { ...defaultLimits, ...options.limits };
  const operations = publicOperations(services);
  const shutdown = new AbortController();
  const admission = createAdmission(limits);
  let address = { host: options.host, port: options.port };
  const pipeline = pipelineOf(
    [
      requestId(),
      traced(options.telemetry ?? createTelemetry({ clock }), () => address),
      presentErrors({ contracts: contractMessages(services), logger }),
      admission.step,
      principal(),
      deadlines({ clock, unaryMs: limits.unaryTimeoutMs, streamMs: limits.streamTimeoutMs }),
    ],
    createMeshUpstream({ mesh, operations, overrides, clock, shutdown: shutdown.signal }),
  );
  const connect = connectNodeAdapter({
    routes: connectRoutes(operations, pipeline),
    readMaxBytes: limits.maxBodyBytes,
    contextValues: (request) => peerValues(peerOf(request.socket)),
  });
  const cors = createCors(options.origins ?? []);
  const server = await openEdgeServer({
    host: options.host,
    port: options.port,
    maxHeaderBytes: limits.maxHeaderBytes,
    maxConnections: limits.maxConnections,
    readTimeoutMs: limits.readTimeoutMs,
    clock,
    handle(request, response) {
      const answer = cors(request);
      for (const [name, value] of Object.entries(answer.headers)) response.setHeader(name, value);
      if (answer.t === "pass") return connect(request, response);
      response.statusCode = answer.status;
      response.end();
    },
  });
  address = { host: server.host, port: server.port };
  return {
    host: server.host,
    port: server.port,
    operations: operations.map(({ name }) => name),
    get underWay() {
      return admission.underWay;
    },
    retire: () => server.retire(),
    async drain(timeoutMs) {
      admission.close();
      await server.drain(timeoutMs);
      shutdown.abort();
      await server.drain(lastWordsMs);
    },
    async [Symbol.asyncDispose]() {
      admission.close();
      shutdown.abort();
      await server[Symbol.asyncDispose]();
    },
  };
}

function peerOf(socket: {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}): string {
  const { remoteAddress = "unknown", remotePort = 0 } = socket;
  return remoteAddress.includes(":") ? `[${remoteAddress}]:${remotePort}` : `${remoteAddress}:${remotePort}`;
}
