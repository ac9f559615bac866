import { exitWithUsage, runService } from "@weft/chassis";
import { config } from "./config.js";
import { wire } from "./wire.js";

const settings = config.parse(process.env);
if (!settings.ok) exitWithUsage(settings.error);
await runService(settings.value, wire);
