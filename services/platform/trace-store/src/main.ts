import { exitWithUsage, runService } from "@weft/chassis";
import { config } from "./config.js";
import { loadPage } from "./page/load-page.js";
import { wire } from "./wire.js";

const settings = config.parse(process.env);
if (!settings.ok) exitWithUsage(settings.error);
await runService(
  settings.value,
  async (chassis) => {
    await wire(chassis, await loadPage(new URL("./page/", import.meta.url)));
  },
  // It would send its spans to itself.
  { tracing: false },
);
