import type { Chassis } from "@weft/chassis";
import { type GatewayConfig, itemsOf } from "./config.js";
import { createGateway } from "./gateway.js";
import { shopServices } from "./operation/contracts.js";
import { targetsFrom } from "./upstream/targets.js";

/** Connects the gateway's parts: port → protocols → pipeline → mesh. */
export async function wire(chassis: Chassis<GatewayConfig>): Promise<void> {
  const { config, scope, logger, clock } = chassis;
  const gateway = scope.use(
    await createGateway({
      services: shopServices,
      mesh: await chassis.mesh(),
      host: config.WEFT_BIND,
      port: config.WEFT_PORT,
      origins: itemsOf(config.WEFT_GATEWAY_ORIGINS),
      overrides: targetsFrom(itemsOf(config.WEFT_GATEWAY_TARGETS)),
      limits: {
        maxBodyBytes: config.WEFT_GATEWAY_MAX_BODY,
        maxHeaderBytes: config.WEFT_GATEWAY_MAX_HEADERS,
        maxCalls: config.WEFT_GATEWAY_MAX_CALLS,
        maxStreams: config.WEFT_GATEWAY_MAX_STREAMS,
        maxConnections: config.WEFT_GATEWAY_MAX_CONNECTIONS,
        readTimeoutMs: config.WEFT_GATEWAY_READ_TIMEOUT,
        unaryTimeoutMs: config.WEFT_GATEWAY_TIMEOUT,
        streamTimeoutMs: config.WEFT_GATEWAY_STREAM_TIMEOUT,
      },
      clock,
      logger,
    }),
  );
  chassis.stopping.addEventListener("abort", () => gateway.retire(), { once: true });
  chassis.onDrain("edge", ({ timeoutMs }) => gateway.drain(timeoutMs));
  chassis.describe("edge", () => ({ operations: gateway.operations, underWay: gateway.underWay }));
  logger.info("serving the public API", { port: gateway.port, operations: gateway.operations.length });
}
