import type { DescService } from "@bufbuild/protobuf";
import type { MethodImplSpec } from "@connectrpc/connect";
import { Health } from "@weft/contracts/grpc/health/v1";
import { ServerReflection } from "@weft/contracts/grpc/reflection/v1";
import { type Clock, type Logger, silentLogger, systemClock } from "@weft/foundation";
import {
  type Keepalive,
  type Listener,
  type ListenOptions,
  type ServerStreamEvents,
  type StreamHandler,
  type Transport,
  textOf,
} from "@weft/wire";
import { createTelemetry, type Telemetry } from "../telemetry/telemetry.js";
import { type Gate, passGates } from "./gate.js";
import { HealthService } from "./health.js";
import { DrainingServer, type MeshServer } from "./mesh-server.js";
import { createReflection, reflectionV1AlphaPath } from "./reflection.js";
import { collectRoutes, pathOf, type Routes } from "./router.js";
import { type CallParts, ServerCall, servedMethod } from "./server-call.js";

/** As {@link ListenOptions}, but clients are pinged by default: after 60 s, given 20 s for the answer. */
export interface ServeOptions extends Omit<ListenOptions, "methods"> {
  readonly transport: Transport;
  readonly clock?: Clock;
  readonly logger?: Logger;
  readonly telemetry?: Telemetry;
  /** Asked in order before a call is read: access, then limits. */
  readonly gates?: readonly Gate[];
  /** Handlers of bytes, by path, beside those of `routes`: no codec, span, gate or scope stands before them. */
  readonly methods?: ReadonlyMap<string, StreamHandler>;
}

/** Slower than a client's: what a client that is silently gone costs is only the stream that it left open. */
const defaultServerKeepalive: Keepalive = { timeMs: 60_000, timeoutMs: 20_000 };

/**
 * Serves Connect handlers as gRPC, with gRPC's health and reflection services. Needs no control plane.
 *
 *   stream → gates (access, limits) → deadline → span → decode → handler → encode → stream
 *
 * Resolves once the address is bound. The server says SERVING at once; `setServing(false)` takes that back.
 */
export async function serve(routes: Routes, options: ServeOptions): Promise<MeshServer> {
  const { transport, clock = systemClock, logger = silentLogger, gates = [], methods: raw, ...listen } = options;
  const telemetry = options.telemetry ?? createTelemetry({ clock });
  const own = collectRoutes(routes);
  const health = new HealthService(own.services.map((service) => service.typeName));
  const specs = withPlatformServices(own, health);

  let bound: Listener | undefined;
  const address = (): { host: string; port: number } => bound ?? { host: options.host, port: options.port };
  const parts: CallParts = { clock, logger };
  const methods = new Map<string, StreamHandler>(raw);
  for (const [path, spec] of specs) {
    if (methods.has(path)) throw new Error(`route "${path}" is registered twice`);
    methods.set(path, handlerOf(spec, { parts, telemetry, gates, address }));
  }

  bound = await transport.listen({ keepalive: defaultServerKeepalive, ...listen, methods });
  return new DrainingServer({ listener: bound, health, clock, logger });
}

/** Serves nothing but handlers of bytes, with health and reflection beside them. */
export function serveMethods(
  methods: ReadonlyMap<string, StreamHandler>,
  options: Omit<ServeOptions, "methods">,
): Promise<MeshServer> {
  return serve(() => {}, { ...options, methods });
}

/** The routes of the user, and health and reflection unless he serves those himself. */
function withPlatformServices(
  own: { readonly methods: ReadonlyMap<string, MethodImplSpec>; readonly services: readonly DescService[] },
  health: HealthService,
): Map<string, MethodImplSpec> {
  const specs = new Map(own.methods);
  const platform = collectRoutes((router) => {
    router.service(Health, health.handlers);
    const services = [...own.services, Health, ServerReflection];
    router.service(ServerReflection, createReflection([...new Set(services)]));
  });
  for (const [path, spec] of platform.methods) if (!specs.has(path)) specs.set(path, spec);
  const reflection = specs.get(pathOf(ServerReflection.method.serverReflectionInfo));
  if (reflection !== undefined && !specs.has(reflectionV1AlphaPath)) specs.set(reflectionV1AlphaPath, reflection);
  return specs;
}

function handlerOf(
  spec: MethodImplSpec,
  around: {
    readonly parts: CallParts;
    readonly telemetry: Telemetry;
    readonly gates: readonly Gate[];
    readonly address: () => { readonly host: string; readonly port: number };
  },
): StreamHandler {
  const { parts, gates } = around;
  const method = servedMethod(spec);
  return (stream) => {
    const { path, metadata, peer } = stream;
    const verdict = passGates(gates, {
      path,
      metadata,
      peer,
      method: spec.method,
      user: textOf(metadata, "weft-user"),
    });
    if (verdict.t === "refuse") {
      stream.end(verdict.status);
      return deaf;
    }
    const { host, port } = around.address();
    const telemetry = around.telemetry.serverCall({ path, metadata, peer, host, port });
    const call = new ServerCall({
      method,
      stream,
      authority: host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`,
      telemetry,
      parts,
      onEnd: verdict.done,
    });
    call.start();
    return call;
  };
}

/** Listens to a stream that is over. */
const deaf: ServerStreamEvents = { message() {}, halfClose() {}, cancel() {} };
