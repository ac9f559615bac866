import { exitWithUsage, runService } from "@weft/chassis";
import { catalogConfig } from "./config.js";
import { wire } from "./wire.js";

const config = catalogConfig.parse(process.env);
if (!config.ok) exitWithUsage(config.error);
await runService(config.value, wire);
