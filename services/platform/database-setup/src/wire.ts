import { type Logger, systemClock } from "@weft/foundation";
import { createKubeClient, inClusterServer } from "@weft/kube";
import type { Config } from "./config.js";
import { NotSetUp, setUpDatabases } from "./set-up-databases.js";

/** Sets everything up; gives the exit code. */
export async function wire(config: Config, logger: Logger, signal: AbortSignal): Promise<number> {
  const clock = systemClock;
  await using client = createKubeClient(
    inClusterServer({
      host: config.KUBERNETES_SERVICE_HOST,
      port: config.KUBERNETES_SERVICE_PORT,
      directory: config.WEFT_SERVICEACCOUNT_DIR,
      clock,
    }),
  );
  try {
    await setUpDatabases({
      client,
      namespace: config.POD_NAMESPACE,
      server: config.WEFT_POSTGRES,
      databases: config.WEFT_DATABASES,
      timeoutMs: config.WEFT_SETUP_TIMEOUT,
      clock,
      logger,
      signal,
    });
    return 0;
  } catch (error) {
    if (signal.aborted) logger.info("stopped before everything was set up");
    else if (error instanceof NotSetUp) logger.error(error.message);
    else logger.error("the set-up failed", { error });
    return 1;
  }
}
