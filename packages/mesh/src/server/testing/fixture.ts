import type { ServiceImpl } from "@connectrpc/connect";
import type { LogFields, Logger } from "@weft/foundation";
import { createGrpcJsTransport } from "@weft/wire";
import type { MeshServer } from "../mesh-server.js";
import { type ServeOptions, serve } from "../serve.js";
import { ForeignClient } from "./foreign-client.js";
import { KindsService } from "./kinds-service.js";

/** The longest that a test waits for what should take milliseconds. */
export const ceilingMs = 10_000;

/** Where test servers stand. */
export const onLoopback = { transport: createGrpcJsTransport(), host: "127.0.0.1", port: 0 };

/** A server and a foreign client of it. */
export interface Served extends AsyncDisposable {
  readonly server: MeshServer;
  readonly client: ForeignClient;
  readonly logs: RecordedLogs;
}

/** Serves the service of all kinds with these handlers. */
export async function serveKinds(
  handlers: Partial<ServiceImpl<typeof KindsService>>,
  options: Partial<ServeOptions> = {},
): Promise<Served> {
  const logs = recordLogs();
  const server = await serve((router) => router.service(KindsService, handlers), {
    ...onLoopback,
    logger: logs.logger,
    ...options,
  });
  const client = new ForeignClient(server.port);
  return {
    server,
    client,
    logs,
    async [Symbol.asyncDispose]() {
      client[Symbol.dispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

export interface RecordedLogs {
  readonly logger: Logger;
  readonly lines: { readonly level: string; readonly message: string; readonly fields: LogFields | undefined }[];
}

/** A logger that keeps what it is told. */
export function recordLogs(): RecordedLogs {
  const lines: RecordedLogs["lines"] = [];
  const at = (level: string) => (message: string, fields?: LogFields) => void lines.push({ level, message, fields });
  const logger: Logger = {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    child: () => logger,
  };
  return { logger, lines };
}
