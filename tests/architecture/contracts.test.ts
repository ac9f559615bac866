import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "weft-contracts-"));
let copies = 0;

/** A change of one contract: in `file`, `from` becomes `to`. */
interface Change {
  readonly what: string;
  readonly file: string;
  readonly from: string | RegExp;
  readonly to: string;
  /** What the refusal must say. */
  readonly says: RegExp;
}

const orders = "shop/orders/v1/orders.proto";
const catalog = "shop/catalog/v1/catalog.proto";
const inventory = "shop/inventory/v1/inventory.proto";

/** A copy of the contracts, released as they are. */
function copyContracts(): string {
  const copy = join(scratch, `copy-${copies++}`);
  for (const part of ["proto/shop", "proto/weft", "buf.yaml"])
    cpSync(join(root, part), join(copy, part), { recursive: true });
  return copy;
}

function change(copy: string, { file, from, to }: Pick<Change, "file" | "from" | "to">): void {
  const path = join(copy, "proto", file);
  const before = readFileSync(path, "utf8");
  const after = before.replace(from, to);
  expect(after, "the change changes something").not.toBe(before);
  writeFileSync(path, after);
}

interface Outcome {
  readonly refused: boolean;
  readonly said: string;
}

function run(script: string, copy: string): Promise<Outcome> {
  return runScript(script, "--root", copy);
}

function runScript(script: string, ...args: readonly string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [join(root, "scripts", script), ...args],
      { encoding: "utf8" },
      (error, stdout, stderr) => resolve({ refused: error !== null, said: `${stdout}${stderr}` }),
    );
  });
}

let released = "";
beforeAll(async () => {
  const copy = copyContracts();
  expect(await run("release-contracts.mjs", copy)).toMatchObject({ refused: false });
  released = join(copy, "proto/released.binpb");
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

test("the contracts in the tree keep our rules and break no caller of the released ones", async () => {
  expect(await run("contract-lint.mjs", root)).toEqual({ refused: false, said: "" });
  expect(await run("breaking.mjs", root)).toEqual({ refused: false, said: "" });
});

test("the generated code is fresh", async () => {
  expect(await runScript("gen.mjs", "--check")).toEqual({ refused: false, said: "" });
});
const forbidden: readonly Change[] = [
  {
    what: "a field removed",
    file: orders,
    from: "  string currency = 3;\n",
    to: "",
    says: /field "3" with name "currency"/,
  },
  {
    what: "a field renumbered",
    file: orders,
    from: "string currency = 3;",
    to: "string currency = 40;",
    says: /field "3" with name "currency"/,
  },
  {
    what: "a field retyped",
    file: orders,
    from: "int32 quantity = 2;",
    to: "string quantity = 2;",
    says: /quantity.*changed type/s,
  },
  {
    what: "a field renamed",
    file: orders,
    from: "string currency = 3;",
    to: "string money = 3;",
    says: /"currency".*"money"/s,
  },
  {
    what: "64 bits made 32",
    file: "shop/money/v1/money.proto",
    from: "int64 minor_units",
    to: "int32 minor_units",
    says: /minor_units.*changed type/s,
  },
  {
    what: "one made many",
    file: orders,
    from: "string currency = 3;",
    to: "repeated string currency = 3;",
    says: /cardinality/,
  },
  {
    what: "presence added",
    file: orders,
    from: "string currency = 3;",
    to: "optional string currency = 3;",
    says: /cardinality/,
  },
  {
    what: "a field moved into a oneof",
    file: orders,
    from: "string currency = 3;",
    to: "oneof pay { string currency = 3; }",
    says: /oneof/,
  },
  {
    what: "a message removed",
    file: inventory,
    from: /\/\/ Stock is how much[\s\S]*?\n}\n/,
    to: "message Other {}\n",
    says: /Stock/,
  },
  {
    what: "a method removed",
    file: catalog,
    from: / {2}rpc GetProduct\([\s\S]*?\n {2}}\n/,
    to: "",
    says: /RPC "GetProduct"/,
  },
  {
    what: "a method renamed",
    file: catalog,
    from: "rpc GetProduct(GetProductRequest)",
    to: "rpc FetchProduct(GetProductRequest)",
    says: /RPC "GetProduct"/,
  },
  {
    what: "another request type",
    file: catalog,
    from: "rpc GetProduct(GetProductRequest)",
    to: "rpc GetProduct(ListProductsRequest)",
    says: /request type/,
  },
  {
    what: "another reply type",
    file: catalog,
    from: "returns (GetProductResponse)",
    to: "returns (ListProductsResponse)",
    says: /response type/,
  },
  {
    what: "a stream made unary",
    file: orders,
    from: "returns (stream WatchOrderResponse)",
    to: "returns (WatchOrderResponse)",
    says: /stream/,
  },
  {
    what: "an enum value renamed",
    file: orders,
    from: "ORDER_STATE_PLACED = 1",
    to: "ORDER_STATE_MADE = 1",
    says: /ORDER_STATE_PLACED.*ORDER_STATE_MADE/s,
  },
  {
    what: "an enum value removed",
    file: orders,
    from: /.*\n {2}ORDER_STATE_CANCELLED = 2;\n/,
    to: "",
    says: /enum value "2" on enum "OrderState"/,
  },
  {
    what: "a service renamed",
    file: orders,
    from: "service OrderService",
    to: "service OrdersService",
    says: /OrderService/,
  },
  {
    what: "a package renamed",
    file: "shop/money/v1/money.proto",
    from: "package shop.money.v1;",
    to: "package shop.cash.v1;",
    says: /package|shop\.money/,
  },
  {
    what: "an idempotency level changed",
    file: catalog,
    from: "idempotency_level = NO_SIDE_EFFECTS",
    to: "idempotency_level = IDEMPOTENT",
    says: /idempotency level|changed nothing before/,
  },
  {
    what: "a public method made internal",
    file: orders,
    from: "EXPOSURE_PUBLIC",
    to: "EXPOSURE_INTERNAL",
    says: /PlaceOrder: was public and is no more/,
  },
  {
    what: "an exposure no more said",
    file: orders,
    from: "    option (weft.options.v1.exposure) = EXPOSURE_PUBLIC;\n",
    to: "",
    says: /PlaceOrder: was public and is no more/,
  },
  {
    what: "another scope",
    file: orders,
    from: '"orders.write"',
    to: '"orders.admin"',
    says: /PlaceOrder: its scope was "orders\.write"/,
  },
  {
    what: "an option's number changed",
    file: "weft/options/v1/options.proto",
    from: "sensitive = 50103",
    to: "sensitive = 50104",
    says: /sensitive: its number was 50103 and is 50104/,
  },
];

test.concurrent.each(forbidden)("a forbidden change is refused: $what", async (forbiddenChange) => {
  const copy = copyContracts();
  cpSync(released, join(copy, "proto/released.binpb"));
  change(copy, forbiddenChange);
  const { refused, said } = await run("breaking.mjs", copy);
  expect(said).toMatch(forbiddenChange.says);
  expect(refused).toBe(true);
});

test("a sensitive mark taken away is refused, and what breaks callers is not released", async () => {
  const copy = copyContracts();
  const marked = {
    file: orders,
    from: "string currency = 3;",
    to: "string currency = 3 [(weft.options.v1.sensitive) = true];",
  };
  change(copy, marked);
  expect(await run("release-contracts.mjs", copy)).toMatchObject({ refused: false });
  const before = readFileSync(join(copy, "proto/released.binpb"));
  change(copy, { file: orders, from: marked.to, to: marked.from });
  expect(await run("breaking.mjs", copy)).toMatchObject({
    refused: true,
    said: expect.stringMatching(/PlaceOrderRequest\.currency: was sensitive/),
  });
  expect((await run("release-contracts.mjs", copy)).refused).toBe(true);
  expect(readFileSync(join(copy, "proto/released.binpb")).equals(before)).toBe(true);
});

test.concurrent.each([
  {
    what: "a field added",
    file: orders,
    from: "string currency = 3;",
    to: "string currency = 3;\n  string note = 40;",
  },
  {
    what: "an enum value added",
    file: orders,
    from: "ORDER_STATE_CANCELLED = 2;",
    to: "ORDER_STATE_CANCELLED = 2;\n  ORDER_STATE_PAID = 30;",
  },
  { what: "an internal method made public", file: inventory, from: "EXPOSURE_INTERNAL", to: "EXPOSURE_PUBLIC" },
  { what: "another comment", file: orders, from: "// What to buy", to: "// What is bought" },
])("an allowed change passes: $what", async (allowed) => {
  const copy = copyContracts();
  cpSync(released, join(copy, "proto/released.binpb"));
  change(copy, allowed);
  expect(await run("breaking.mjs", copy)).toEqual({ refused: false, said: "" });
});

test.concurrent.each<Change>([
  {
    what: "a changing method without a key",
    file: orders,
    from: "string idempotency_key = 1;",
    to: "",
    says: /PlaceOrder: changes something, so shop\.orders\.v1\.PlaceOrderRequest needs/,
  },
  {
    what: "a key that is no string",
    file: orders,
    from: "string idempotency_key = 1;",
    to: "bytes idempotency_key = 1;",
    says: /PlaceOrder: changes something/,
  },
  {
    what: "a key that may be absent",
    file: orders,
    from: "string idempotency_key = 1;",
    to: "optional string idempotency_key = 1;",
    says: /PlaceOrder: changes something/,
  },
  {
    what: "a method that does not say whether it changes something",
    file: catalog,
    from: "    option idempotency_level = NO_SIDE_EFFECTS;\n",
    to: "",
    says: /GetProduct: does not say/,
  },
  {
    what: "a request with a user",
    file: orders,
    from: "string currency = 3;",
    to: "string currency = 3;\n  string user_id = 40;",
    says: /PlaceOrder: request field user_id says who is asking/,
  },
  {
    what: "a user deep inside a request",
    file: orders,
    from: "int32 quantity = 2;",
    to: "int32 quantity = 2;\n  string on_behalf_of = 3;",
    says: /request field items\.on_behalf_of/,
  },
  {
    what: "a map in a changing request",
    file: orders,
    from: "string currency = 3;",
    to: "string currency = 3;\n  map<string, string> notes = 40;",
    says: /request field notes is a map/,
  },
  {
    what: "a public method without a scope",
    file: orders,
    from: '    option (weft.options.v1.scope) = "orders.write";\n',
    to: "",
    says: /PlaceOrder: is public, so it needs a scope/,
  },
])("our lint refuses $what", async (refusedChange) => {
  const copy = copyContracts();
  change(copy, refusedChange);
  const { refused, said } = await run("contract-lint.mjs", copy);
  expect(said).toMatch(refusedChange.says);
  expect(refused).toBe(true);
});

test("what the inventory begins with is what the catalog sells", () => {
  const ids = (file: string): string[] =>
    [...readFileSync(join(root, file), "utf8").matchAll(/\[\s*"([a-z0-9-]+)",/g)].map((match) => match[1] ?? "").sort();
  const sold = ids("services/shop/catalog/src/seed-products.ts");
  expect(sold.length).toBeGreaterThanOrEqual(60);
  expect(ids("services/shop/inventory/src/seed-stock.ts")).toEqual(sold);
});
