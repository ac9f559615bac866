import { createLogger, createRedactor, exitWithUsage } from "@weft/chassis";
import { config } from "./config.js";
import { wire } from "./wire.js";

const settings = config.parse(process.env);
if (!settings.ok) exitWithUsage(settings.error);
const logger = createLogger({
  level: settings.value.LOG_LEVEL,
  write: (line) => void process.stdout.write(line),
  redactor: createRedactor(),
  fields: {
    service: "database-setup",
    namespace: settings.value.POD_NAMESPACE,
    pod: settings.value.POD_NAME,
  },
});
const stop = new AbortController();
// Process 1 of a container: without a listener the kernel passes the signal over.
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => stop.abort());
process.exitCode = await wire(settings.value, logger, stop.signal);
