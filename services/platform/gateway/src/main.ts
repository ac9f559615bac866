import { exitWithUsage, runService } from "@weft/chassis";
import { gatewayConfig } from "./config.js";
import { wire } from "./wire.js";

const config = gatewayConfig.parse(process.env);
if (!config.ok) exitWithUsage(config.error);
await runService(config.value, wire);
