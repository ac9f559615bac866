import { exitWithUsage, runService } from "@weft/chassis";
import { paymentsConfig } from "./config.js";
import { wire } from "./wire.js";

const config = paymentsConfig.parse(process.env);
if (!config.ok) exitWithUsage(config.error);
await runService(config.value, wire);
