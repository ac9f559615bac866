import { inspect } from "node:util";
import { expect, test } from "vitest";
import { defineConfig } from "./table.js";
import { variable } from "./variable.js";

const config = defineConfig({
  DATABASE_URL: variable.secret({ doc: "Database." }),
  WEFT_DATA_KEY: variable.secretKey({ doc: "Key.", bytes: 32 }),
  PAGE_SIZE: variable.int({ doc: "Page.", default: 20, min: 1, max: 100 }),
  CACHE: variable.bytes({ doc: "Cache.", default: "1MiB" }),
  MODE: variable.oneOf(["fast", "safe"], { doc: "Mode.", default: "safe" }),
  PEERS: variable.list({ doc: "Peers.", default: "" }),
  EXTRA: variable.optional(variable.boolean({ doc: "Extra." })),
});

const key = Buffer.alloc(32, 7).toString("base64");
const good = { DATABASE_URL: "postgres://u:pw@h/db", WEFT_DATA_KEY: key };

test("values are typed and complete, defaults filled in", () => {
  const read = config.parse({ ...good, CACHE: "512KiB", PEERS: "a, b,,c", WEFT_DRAIN_DELAY: "1m30s" });
  if (!read.ok) throw new Error(read.error.text);
  const { value } = read;
  expect(value.DATABASE_URL.reveal()).toBe("postgres://u:pw@h/db");
  expect(value.PAGE_SIZE).toBe(20);
  expect(value.CACHE).toBe(512 * 1024);
  expect(value.MODE).toBe("safe");
  expect(value.PEERS).toEqual(["a", "b", "c"]);
  expect(value.EXTRA).toBeUndefined();
  expect(value.WEFT_DRAIN_DELAY).toBe(90_000);
  expect(value.WEFT_PORT).toBe(8080);
});

test("all wrong variables are named at once, each with its value, form and default", () => {
  const read = config.parse({
    WEFT_DATA_KEY: "hunter2-hunter2",
    PAGE_SIZE: "0",
    CACHE: "1MB",
    MODE: "fats",
    WEFT_DRAIN_DELAY: "5",
    WEFT_PORT: "80.5",
    WEFT_CONTROL_PLANE: "nowhere",
    OTEL_EXPORTER_OTLP_ENDPOINT: "ftp://x",
    LOG_LEVEL: "loud",
    EXTRA: "perhaps",
  });
  if (read.ok) throw new Error("taken");
  const { problems, text } = read.error;
  expect(problems.map((problem) => problem.name).sort()).toEqual(
    [
      "CACHE",
      "DATABASE_URL",
      "EXTRA",
      "LOG_LEVEL",
      "MODE",
      "OTEL_EXPORTER_OTLP_ENDPOINT",
      "PAGE_SIZE",
      "WEFT_CONTROL_PLANE",
      "WEFT_DATA_KEY",
      "WEFT_DRAIN_DELAY",
      "WEFT_PORT",
    ].sort(),
  );
  expect(text).toContain(
    'PAGE_SIZE="0" is not between 1 and 100: it must be a whole number from 1 to 100 (default 20)',
  );
  expect(text).toContain('MODE="fats" is none of these: it must be one of fast, safe (default safe)');
  expect(text).toContain("DATABASE_URL is not set: it must be a secret");
  expect(text).not.toContain("hunter2");
});

test("a WEFT_ variable that nobody reads is a mistake, and the likely name is given", () => {
  const read = config.parse({ ...good, WEFT_DRAIN_DELY: "1s", WEFT_ZZZZZZZZZZZZ: "1" });
  if (read.ok) throw new Error("taken");
  expect(read.error.problems.map((problem) => problem.message)).toEqual([
    "WEFT_DRAIN_DELY is not a variable of this service: did you mean WEFT_DRAIN_DELAY?",
    "WEFT_ZZZZZZZZZZZZ is not a variable of this service",
  ]);
});

test("what Kubernetes sets for a Service called weft-… is no mistake", () => {
  const links = {
    WEFT_WEB_SERVICE_HOST: "10.0.0.1",
    WEFT_WEB_SERVICE_PORT_HTTP: "80",
    WEFT_WEB_PORT_80_TCP: "tcp://x",
  };
  expect(config.parse({ ...good, ...links }).ok).toBe(true);
});

test("the usage names every variable with its default, and no secret", () => {
  const usage = config.usage();
  for (const name of ["DATABASE_URL", "PAGE_SIZE", "WEFT_PORT", "POD_IP", "OTEL_SERVICE_NAME"])
    expect(usage).toContain(name);
  expect(usage).toContain("default 20");
});

test("a secret shows itself only when asked to", () => {
  const read = config.parse(good);
  if (!read.ok) throw new Error(read.error.text);
  const secret = read.value.DATABASE_URL;
  for (const shown of [
    `${secret}`,
    JSON.stringify({ secret }),
    inspect({ secret }),
    inspect(secret, { showHidden: true }),
  ])
    expect(shown).not.toContain("pw");
});

test("a table that redefines a variable of the chassis, or has an impossible default, is refused when it is made", () => {
  expect(() => defineConfig({ WEFT_PORT: variable.port({ doc: "x", default: 1 }) })).toThrow("WEFT_PORT");
  expect(() => variable.duration({ doc: "x", default: "soon" })).toThrow("soon");
});
