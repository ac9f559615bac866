import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { run } from "./laptop.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const services = readdirSync(join(root, "services")).flatMap((group) =>
  readdirSync(join(root, "services", group)).map((name) => join("services", group, name)),
);

test.each(services)("%s names every wrong variable at once and exits with 2", async (service) => {
  const wrong = { WEFT_ADMIN_PORT: "ninety", WEFT_DRAIN_DELAY: "soon", LOG_LEVEL: "loud", WEFT_DRAIN_TIMEOT: "5s" };
  const result = await run(process.execPath, [join(root, service, "dist/main.js")], {
    env: { PATH: process.env["PATH"], ...wrong },
  });
  expect(result.code).toBe(2);
  for (const [name, value] of Object.entries(wrong)) {
    expect(result.stderr).toContain(name);
    if (name !== "WEFT_DRAIN_TIMEOT") expect(result.stderr).toContain(value);
  }
  expect(result.stderr).toContain("WEFT_DRAIN_TIMEOUT"); // what the misspelt one was meant to be
});
