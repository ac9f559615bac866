import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

const imports = `
  import { create } from "@bufbuild/protobuf";
  import { createClient, type ServiceImpl, type Transport } from "@connectrpc/connect";
  import { CatalogService } from "@weft/contracts/shop/catalog/v1";
  import { MoneySchema } from "@weft/contracts/shop/money/v1";
  import { OrderService } from "@weft/contracts/shop/orders/v1";
  declare const transport: Transport;
  export const orders = createClient(OrderService, transport);
  export const catalog = createClient(CatalogService, transport);
  export { create, MoneySchema };
  export type Used = ServiceImpl<typeof OrderService>;
`;

const handlers = (search: string): string => `
  export const catalogHandlers: ServiceImpl<typeof CatalogService> = {
    getProduct: () => ({}),
    batchGetProducts: () => ({}),
    listProducts: () => ({}),
    ${search}
  };`;

/** Programs against the contracts: what each says, and the compiler's complaint, or none. */
const programs = {
  "right-call": [
    `export const reply = orders.placeOrder({ idempotencyKey: "k", currency: "EUR", items: [{ productId: "tea", quantity: 1 }] });`,
  ],
  "right-amount": [
    `export const price = create(MoneySchema, { minorUnits: 9_007_199_254_740_993n, currency: "EUR" });`,
  ],
  "right-handlers": [handlers("async *searchProducts() { yield { score: 1 }; }")],
  "right-stream": [
    `export async function read() { for await (const hit of catalog.searchProducts({ query: "tea" })) hit.score; }`,
  ],
  "wrong-field": [
    `export const reply = orders.placeOrder({ idempotenceKey: "k" });`,
    /TS2353.*idempotenceKey|TS2561.*idempotenceKey/,
  ],
  "wrong-type": [
    `export const reply = orders.placeOrder({ items: [{ productId: "tea", quantity: "1" }] });`,
    /TS2322.*'string'.*'number'/,
  ],
  "wrong-nested-field": [
    `export const reply = orders.placeOrder({ items: [{ product: "tea" }] });`,
    /TS2561.*'product' does not exist/,
  ],
  "a-user-in-a-request": [`export const reply = orders.placeOrder({ userId: "ann" });`, /TS2353.*userId/],
  "a-float-for-money": [
    `export const price = create(MoneySchema, { minorUnits: 19.99 });`,
    /TS2322.*'number'.*'bigint'/,
  ],
  "unknown-method": [`export const reply = orders.payOrder({});`, /TS2339.*payOrder/],
  "missing-handler": [handlers(""), /TS2741.*searchProducts/],
  "unary-handler-for-a-stream": [
    handlers("async searchProducts() { return { score: 1 }; }"),
    /TS2322.*(AsyncIterable|asyncIterator)/s,
  ],
  "stream-handler-for-unary": [
    handlers("async *searchProducts() {}").replace("getProduct: () => ({})", "async *getProduct() { yield {}; }"),
    /TS2322/,
  ],
  "unary-call-of-a-stream": [
    `export async function read() { return (await orders.watchOrder({ orderId: "o" })).order; }`,
    /TS2339.*order/,
  ],
  "stream-read-of-a-unary-call": [
    `export async function read() { for await (const _ of orders.getOrder({ orderId: "o" })) _; }`,
    /TS2504/,
  ],
} as const satisfies Readonly<Record<string, readonly [code: string, complaint?: RegExp]>>;

let folder = "";
let complaints = new Map<string, string>();

beforeAll(() => {
  // Inside the repository, so that packages are found as everywhere else.
  mkdirSync(join(root, ".tsbuild"), { recursive: true });
  folder = mkdtempSync(join(root, ".tsbuild/contract-types-"));
  for (const [name, [code]] of Object.entries(programs))
    writeFileSync(join(folder, `${name}.ts`), `${imports}${code}\n`);
  const compilerOptions = {
    noEmit: true,
    composite: false,
    incremental: false,
    declaration: false,
    declarationMap: false,
    sourceMap: false,
    erasableSyntaxOnly: false,
  };
  writeFileSync(join(folder, "package.json"), `{ "type": "module" }`);
  writeFileSync(
    join(folder, "tsconfig.json"),
    JSON.stringify({ extends: "../../tsconfig.base.json", compilerOptions, include: ["*.ts"] }),
  );
  const ended = spawnSync(join(root, "node_modules/.bin/tsc"), ["-p", folder, "--pretty", "false"], {
    cwd: folder,
    encoding: "utf8",
  });
  complaints = complaintsByFile(ended.stdout);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The compiler's output, by file; continuation lines belong to the line before them. */
function complaintsByFile(output: string): Map<string, string> {
  const found = new Map<string, string>();
  let current = "elsewhere";
  for (const line of output.split("\n")) {
    const start = /^([\w./-]+)\(\d+,\d+\): error/.exec(line);
    if (start?.[1] !== undefined) current = start[1].replace(/^.*\//, "").replace(/\.ts$/, "");
    if (line.trim() !== "") found.set(current, `${found.get(current) ?? ""}${line}\n`);
  }
  return found;
}

test.each(Object.entries(programs))("against the contracts: %s", (name, [, complaint]) => {
  if (complaint === undefined) expect(complaints.get(name)).toBeUndefined();
  else expect(complaints.get(name)).toMatch(complaint);
});

test("the compiler complains of nothing else", () => {
  const expected = Object.entries(programs).flatMap(([name, [, complaint]]) => (complaint === undefined ? [] : [name]));
  expect([...complaints.keys()].sort()).toEqual(expected.sort());
});
