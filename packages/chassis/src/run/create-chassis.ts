import type { ConnectRouter } from "@connectrpc/connect";
import type { Clock, Logger, Scope } from "@weft/foundation";
import { createMesh, type Mesh } from "@weft/mesh";
import { createGrpcJsTransport } from "@weft/wire";
import type { Chassis, ProcessIdentity } from "../chassis.js";
import type { ChassisConfig } from "../config/chassis-table.js";
import { withCallContext } from "../handlers.js";
import type { Readiness } from "../readiness.js";
import type { Redactor } from "../redaction/redactor.js";
import type { Router, Routes, ServeOptions, ServerHandle } from "../serve.js";
import type { DrainPart } from "./drain.js";

/** What a mesh is made from. */
export interface MeshSettings {
  readonly config: ChassisConfig;
  readonly identity: ProcessIdentity;
  readonly logger: Logger;
  readonly clock: Clock;
}

export type CreateMesh = (settings: MeshSettings) => Promise<Mesh>;

export interface ChassisParts<Config extends ChassisConfig> {
  readonly config: Config;
  readonly identity: ProcessIdentity;
  readonly scope: Scope;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly readiness: Readiness;
  readonly stopping: AbortSignal;
  readonly redactor: Redactor;
  readonly createMesh: CreateMesh;
  /** The principal of the call that the running code serves. */
  currentUser(): string | undefined;
  addDrain(part: DrainPart): void;
  addSection(name: string, describe: () => unknown): void;
}

/** The mesh that the environment names. */
export const meshFromConfig: CreateMesh = ({ config, identity, logger, clock }) =>
  createMesh({
    transport: createGrpcJsTransport(),
    controlPlane: config.WEFT_CONTROL_PLANE,
    node: { id: `${identity.pod}.${identity.namespace}`, namespace: identity.namespace },
    snapshotDir: config.WEFT_SNAPSHOT_DIR,
    limits: { policyRetries: config.WEFT_POLICY_RETRIES },
    clock,
    logger,
  });

/** Makes what a service's `wire` is given. */
export function createChassis<Config extends ChassisConfig>(parts: ChassisParts<Config>): Chassis<Config> {
  const { config, readiness, scope } = parts;
  let made: Promise<Mesh> | undefined;
  const mesh = (): Promise<Mesh> => {
    made ??= startMesh(parts);
    return made;
  };
  return {
    config,
    identity: parts.identity,
    scope,
    logger: parts.logger,
    clock: parts.clock,
    readiness,
    stopping: parts.stopping,
    redactor: parts.redactor,
    mesh,
    serve: async (routes, options) => serveOn(await mesh(), parts, routes, options),
    onDrain: (name, drain) => parts.addDrain({ name, drain }),
    describe: (section, describe) => parts.addSection(section, describe),
  };
}

async function startMesh<Config extends ChassisConfig>(parts: ChassisParts<Config>): Promise<Mesh> {
  const { config, identity, clock } = parts;
  const mesh = parts.scope.use(await parts.createMesh({ config, identity, logger: parts.logger, clock }));
  const following = parts.readiness.follow("mesh", mesh.state, (state) =>
    state.t === "ready" ? undefined : state.reasons.join("; "),
  );
  parts.scope.defer(() => following[Symbol.dispose]());
  parts.addSection("mesh", () => mesh.describe());
  return mesh;
}

async function serveOn<Config extends ChassisConfig>(
  mesh: Mesh,
  parts: ChassisParts<Config>,
  routes: Routes,
  options: ServeOptions = {},
): Promise<ServerHandle> {
  const { config, logger, readiness, redactor, scope } = parts;
  const host = options.host ?? config.WEFT_BIND;
  const server = scope.use(
    await mesh.serve((router) => routes(routerOver(router, parts)), { host, port: options.port ?? config.WEFT_PORT }),
  );
  const following = readiness.state.subscribe((reasons) => server.setServing(reasons.length === 0));
  scope.defer(() => following[Symbol.dispose]());
  server.setServing(readiness.state.value.length === 0);
  parts.addDrain({ name: "grpc", drain: ({ timeoutMs }) => server.drain({ delayMs: 0, timeoutMs }) });
  logger.info("serving gRPC", { address: redactor.text(`${server.host}:${server.port}`) });
  return { host: server.host, port: server.port };
}

function routerOver<Config extends ChassisConfig>(router: ConnectRouter, parts: ChassisParts<Config>): Router {
  const { redactor, currentUser } = parts;
  const own: Router = {
    service(service, handlers) {
      redactor.learn(service.file);
      router.service(service, withCallContext(service, handlers, { redactor, currentUser }));
      return own;
    },
  };
  return own;
}
