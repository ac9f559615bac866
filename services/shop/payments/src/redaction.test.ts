import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type DescField, type DescMessage, type DescMethod, type DescMethodUnary, getOption } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { luhnCompleted } from "@weft/chassis/testing";
import { PaymentService } from "@weft/contracts/shop/payments/v1";
import { sensitive } from "@weft/contracts/weft/options/v1";
import { eventually } from "@weft/foundation/testing";
import { column, createDatabase } from "@weft/store";
import { startTestDatabase, startTestPostgres } from "@weft/store/testing";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";

const ceiling = { ceilingMs: 30_000 };
let folder: string;
let bundle: string;

// As the service runs: one bundle, a plain node.
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "weft-payments-"));
  bundle = join(folder, "main.mjs");
  await build({
    entryPoints: [fileURLToPath(new URL("./main.ts", import.meta.url))],
    outfile: bundle,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    conditions: ["@weft/source"],
    external: ["pg-native"],
    logLevel: "error",
    banner: {
      js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url); const __dirname = "/";',
    },
  });
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** Any number that a card could have. */
function randomCard(): string {
  return luhnCompleted(Array.from({ length: 15 }, (_, n) => (n === 0 ? 4 : Math.floor(Math.random() * 10))));
}

const grouped = (card: string, by: string): string => card.replace(/(.{4})(?=.)/g, `$1${by}`);

function isUnary(method: DescMethod): method is DescMethodUnary {
  return method.methodKind === "unary";
}

/** A message with the text in every field, or in one; a field that holds a number gets the text's digits. */
function filled(message: DescMessage, text: string, only?: DescField): Record<string, unknown> {
  return Object.fromEntries(
    message.fields.flatMap((field): [string, unknown][] => {
      if (field.message !== undefined && field.fieldKind === "message")
        return [[field.localName, filled(field.message, text)]];
      if (field.fieldKind !== "scalar") return [];
      if (only !== undefined && field !== only) return [];
      const value = field.localName === "minorUnits" ? BigInt(text.replace(/\D/g, "")) : text;
      return [[field.localName, value]];
    }),
  );
}

interface Receiver extends AsyncDisposable {
  readonly url: string;
  readonly text: () => string;
}

/** Takes whatever is sent to it. */
async function listen(): Promise<Receiver> {
  let text = "";
  const server: Server = createServer((incoming, response) => {
    incoming.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
    });
    incoming.on("end", () => response.writeHead(200, { "content-type": "application/x-protobuf" }).end());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`,
    text: () => text,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Ports that nobody uses at the moment. */
async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createTcpServer>>((resolve) => {
          const server = createTcpServer().listen(0, "127.0.0.1", () => resolve(server));
        }),
    ),
  );
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  });
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

interface Service extends AsyncDisposable {
  readonly child: ChildProcess;
  readonly transport: Transport;
  readonly output: () => string;
  readonly metrics: () => Promise<string>;
  readonly exited: Promise<unknown>;
}

async function startPayments(databaseUrl: string, tracesUrl: string): Promise<Service> {
  const [port = 0, adminPort = 0] = await freePorts(2);
  const child = spawn(process.execPath, [bundle], {
    env: {
      DATABASE_URL: databaseUrl,
      WEFT_DATA_KEY: Buffer.alloc(32, 7).toString("base64"),
      PROVIDER_TIMEOUT: "10s",
      LOG_LEVEL: "debug",
      WEFT_BIND: "127.0.0.1",
      WEFT_PORT: String(port),
      WEFT_ADMIN_PORT: String(adminPort),
      WEFT_DEBUG_PORT: "0",
      WEFT_DRAIN_DELAY: "0s",
      WEFT_DRAIN_TIMEOUT: "1s",
      WEFT_SNAPSHOT_DIR: join(folder, "snapshot"),
      // Nobody listens there: what is asked for below needs no control plane.
      WEFT_CONTROL_PLANE: "127.0.0.1:1",
      OTEL_EXPORTER_OTLP_ENDPOINT: tracesUrl,
      OTEL_BSP_SCHEDULE_DELAY: "200",
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
  const exited = new Promise((resolve) => child.once("close", resolve));
  const transport = createGrpcTransport({
    baseUrl: `http://127.0.0.1:${port}`,
    interceptors: [
      (next) => (request) => {
        request.header.set("weft-user", "ann");
        return next(request);
      },
    ],
  });
  const client = createClient(PaymentService, transport);
  await eventually(
    () =>
      client.getLedgerTotals({}).then(
        () => true,
        () => {
          if (child.exitCode !== null) throw new Error(output);
          return false;
        },
      ),
    ceiling,
  );
  return {
    child,
    transport,
    output: () => output,
    metrics: async () => (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text(),
    exited,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null) child.kill("SIGKILL");
      await exited;
    },
  };
}

/** Everything in every table, as text. */
async function dump(url: string): Promise<string> {
  await using database = createDatabase({ url });
  const tables = await database.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'");
  const texts: string[] = [];
  for (const table of tables) {
    const name = column.text(table, "tablename");
    const rows = await database.query(`SELECT whole::text AS line FROM ${name} AS whole`);
    texts.push(name, ...rows.map((row) => column.text(row, "line")));
  }
  return texts.join("\n");
}

/** The server's own files, its log of changes among them, that hold a text. */
async function filesWith(adminUrl: string, texts: readonly string[]): Promise<readonly string[]> {
  await using admin = createDatabase({ url: adminUrl });
  await admin.query("CHECKPOINT");
  const [row] = await admin.query("SELECT current_setting('data_directory') AS directory");
  const directory = row === undefined ? "" : column.text(row, "directory");
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => {
      const bytes = readFileSync(path);
      return texts.some((text) => bytes.includes(text));
    });
}

test("a card number typed into any field of any call is in no log, span, metric or error; in a sensitive field, also in no table or file", async () => {
  await using server = await startTestPostgres();
  await using home = await startTestDatabase({ server });
  await using traces = await listen();
  await using service = await startPayments(home.url, traces.url);
  const client = createClient(PaymentService, service.transport);
  const errors: string[] = [];
  const call = async (name: string, input: Record<string, unknown>): Promise<void> => {
    const method = PaymentService.methods.filter(isUnary).find((one) => one.name === name);
    if (method === undefined) throw new Error(`no method ${name}`);
    await service.transport
      .unary(method, AbortSignal.timeout(10_000), undefined, {}, input)
      .catch((thrown: unknown) => {
        const error = ConnectError.from(thrown);
        expect([Code.InvalidArgument, Code.NotFound, Code.FailedPrecondition, Code.AlreadyExists]).toContain(
          error.code,
        );
        errors.push(`${error.message} ${JSON.stringify(error.details)} ${[...error.metadata].join()}`);
      });
  };

  // A number in every field at once, and in each alone: with what else a call needs, and without.
  const typed = randomCard();
  for (const text of [typed, grouped(typed, " "), grouped(typed, "-"), `my card is ${typed}, thanks`])
    for (const method of PaymentService.methods) {
      await call(method.name, filled(method.input, text));
      for (const field of method.input.fields)
        if (field.fieldKind === "scalar" && !getOption(field, sensitive))
          await call(method.name, filled(method.input, text, field));
    }

  // A card that is taken, and one that is not, in the field that is made for them.
  const kept = randomCard();
  const wrong = `${kept.slice(0, -1)}${(Number(kept.at(-1)) + 1) % 10}`;
  const { token } = await client.tokenizeCard({ idempotencyKey: "t", cardNumber: grouped(kept, " ") });
  expect((await client.tokenizeCard({ idempotencyKey: "t", cardNumber: grouped(kept, " ") })).token).toBe(token);
  await call("TokenizeCard", { idempotencyKey: "t", cardNumber: kept });
  await call("TokenizeCard", { idempotencyKey: "u", cardNumber: `${kept}${kept}` });
  await call("TokenizeCard", { idempotencyKey: "v", cardNumber: wrong });
  const amount = { minorUnits: 1_000n, currency: "EUR" };
  await client.authorize({ idempotencyKey: typed, token, amount, reference: typed });
  await call("AnswerChallenge", { idempotencyKey: "q", authorizeKey: typed, answer: kept });
  await client.capture({ idempotencyKey: "c", authorizeKey: typed });
  await client.refund({ idempotencyKey: typed, authorizeKey: typed, amount: { ...amount, minorUnits: 400n } });

  await eventually(() => traces.text().includes("shop.payments.v1.PaymentService/Refund"), ceiling);
  const metrics = await service.metrics();
  expect(metrics).toContain("PaymentService/Capture");
  expect(service.output()).toContain("{");
  expect(errors.length).toBeGreaterThan(50);
  const tables = await dump(home.url);
  expect(tables).toContain(token);
  service.child.kill("SIGTERM");
  await service.exited;

  const shown = { log: service.output(), spans: traces.text(), metrics, errors: errors.join("\n") };
  for (const card of [typed, kept])
    for (const form of [card, grouped(card, " "), grouped(card, "-")])
      for (const [where, text] of Object.entries(shown)) expect([where, text.includes(form)]).toEqual([where, false]);

  const forms = [kept, grouped(kept, " "), grouped(kept, "-"), kept.slice(0, 12), wrong];
  for (const form of forms) {
    expect(tables).not.toContain(form);
    expect(tables).not.toContain(Buffer.from(form).toString("hex"));
  }
  expect(await filesWith(server.url, [kept, grouped(kept, " "), kept.slice(0, 12)])).toEqual([]);
  // The search finds what is there.
  expect((await filesWith(server.url, [token])).length).toBeGreaterThan(0);
}, 120_000);
