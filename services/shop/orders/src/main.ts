import { exitWithUsage, runService } from "@weft/chassis";
import { ordersConfig } from "./config.js";
import { wire } from "./wire.js";

const config = ordersConfig.parse(process.env);
if (!config.ok) exitWithUsage(config.error);
await runService(config.value, wire);
