import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Logger, Watch } from "@weft/foundation";
import { silentLogger, WatchSource } from "@weft/foundation";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "@weft/store/embedded";
import type { ContainerExit, ContainerRun } from "./container-run.js";
import type { LogFile } from "./log-file.js";

/** The image that stands for the embedded server; its tag is Postgres' major version. */
export const postgresImage = "weft.local/embedded-postgres";
const postgresPort = 5432;

/** What an image is on this machine. */
export type Image =
  /** Runs in Node.js, by the given arguments. */
  | { readonly t: "program"; readonly file: string; readonly args: readonly string[] }
  | { readonly t: "postgres" }
  | { readonly t: "unknown"; readonly message: string };

/** Turns the name of an image into what runs for it. */
export type ImageResolver = (image: string) => Image;

/** Finds an image `…/NAME:tag` as the bundle `services/GROUP/NAME/dist/main.js` of the checkout; the hook is preloaded into it. */
export function createImageResolver(options: {
  readonly checkout: string;
  readonly lookupHook: string;
}): ImageResolver {
  return (image) => {
    const name = /([^/:@]+)(?::[^/@]*)?(?:@.*)?$/.exec(image)?.[1] ?? image;
    if (image.startsWith(`${postgresImage}:`)) return { t: "postgres" };
    const services = join(options.checkout, "services");
    for (const group of readdirSync(services)) {
      if (!existsSync(join(services, group, name, "package.json"))) continue;
      const bundle = join(services, group, name, "dist", "main.js");
      if (!existsSync(bundle)) {
        return { t: "unknown", message: `services/${group}/${name} is not built: run "npm run build:bundles"` };
      }
      return {
        t: "program",
        file: process.execPath,
        args: ["--enable-source-maps", "--import", options.lookupHook, bundle],
      };
    }
    return { t: "unknown", message: `image "${image}" is no service of this checkout: the overlay must replace it` };
  };
}

/** Runs the embedded Postgres as a container; one at a time, as there is one data folder. */
export interface PostgresRuntime {
  /** The superuser's URL while the server runs. A secret. */
  readonly adminUrl: Watch<string | undefined>;
  start(options: { readonly host: string; readonly log: LogFile; readonly signal: AbortSignal }): Promise<ContainerRun>;
}

export function createPostgresRuntime(options: {
  readonly directory: string;
  readonly logger?: Logger;
}): PostgresRuntime {
  const adminUrl = new WatchSource<string | undefined>(undefined);
  return {
    adminUrl,
    async start({ host, log, signal }) {
      log.startRun().close();
      const server = await startEmbeddedPostgres({
        directory: options.directory,
        host,
        port: postgresPort,
        logFile: log.path,
        signal,
        logger: options.logger ?? silentLogger,
      });
      adminUrl.set(server.url);
      return {
        pid: server.pid,
        exited: exitOf(server, adminUrl),
        terminate: () => void server.stop(),
        kill: () => void server.stop(),
      };
    },
  };
}

async function exitOf(server: EmbeddedPostgres, adminUrl: WatchSource<string | undefined>): Promise<ContainerExit> {
  await server.exited;
  if (adminUrl.value === server.url) adminUrl.set(undefined);
  return { exitCode: 0, signal: undefined };
}
