#!/usr/bin/env node
// Starts the built command. npm links this file at install time, before anything is built.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const main = new URL("../dist/main.js", import.meta.url);
if (!existsSync(fileURLToPath(main))) {
  process.stderr.write("weft: not built yet: run `npm run build` (or `npm start`) first\n");
  process.exit(2);
}
await import(main.href);
