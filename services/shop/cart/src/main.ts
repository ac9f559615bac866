import { exitWithUsage, runService } from "@weft/chassis";
import { cartConfig } from "./config.js";
import { wire } from "./wire.js";

const config = cartConfig.parse(process.env);
if (!config.ok) exitWithUsage(config.error);
await runService(config.value, wire);
