import { exitWithUsage, runService } from "@weft/chassis";
import { inventoryConfig } from "./config.js";
import { wire } from "./wire.js";

const config = inventoryConfig.parse(process.env);
if (!config.ok) exitWithUsage(config.error);
await runService(config.value, wire);
