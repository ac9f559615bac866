import { exitWithUsage, runService } from "@weft/chassis";
import { shippingConfig } from "./config.js";
import { wire } from "./wire.js";

const config = shippingConfig.parse(process.env);
if (!config.ok) exitWithUsage(config.error);
await runService(config.value, wire);
