import { Code, ConnectError } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { createLedger, endingOf, withoutSecrets } from "./ledger.js";
import { progressLine, progressTable, summary, summaryJson } from "./report.js";

function ledgerWithAll() {
  const ledger = createLedger();
  for (let n = 0; n < 98; n++) ledger.call("CatalogService/GetProduct", 2, { t: "ok" });
  ledger.call(
    "OrderService/PlaceOrder",
    40,
    endingOf("OrderService/PlaceOrder", new ConnectError("sold out", Code.FailedPrecondition)),
  );
  const metadata = { "weft-trace-id": "4bf92f3577b34da6a3ce929d0e0e4736" };
  const error = new ConnectError("the service is not available at the moment", Code.Unavailable, metadata);
  ledger.call("OrderService/PlaceOrder", 150, endingOf("OrderService/PlaceOrder", error));
  ledger.visit();
  ledger.order("confirmed");
  ledger.order("confirmed");
  ledger.order("refused");
  return ledger;
}

const progress = (ledger: ReturnType<typeof ledgerWithAll>) => ({
  elapsedMs: 65_000,
  perSecond: 20,
  present: 3,
  window: ledger.takeWindow(),
  windowMs: 5_000,
});

test("a line tells how things go now", () => {
  const ledger = ledgerWithAll();
  expect(progressLine(progress(ledger), ledger.tally())).toBe(
    "01:05  20.0 calls/s of 20  p50 2.0 p95 2.0 p99 40.2 ms  3 in the shop  errors 1  orders 2 confirmed, 1 refused",
  );
  ledger.turnAway();
  expect(progressLine(progress(ledger), ledger.tally())).toBe(
    "01:05  0.0 calls/s of 20  p50 0.0 p95 0.0 p99 0.0 ms  3 in the shop  errors 1  turned away 1  orders 2 confirmed, 1 refused",
  );
});

test("a table has every method, and each way to end badly with its code and whether the shop may", () => {
  const ledger = ledgerWithAll();
  expect(progressTable(progress(ledger), ledger.tally())).toBe(
    `01:05  20.0 calls/s of 20  p50 2.0 p95 2.0 p99 40.2 ms
3 in the shop  errors 1  orders 2 confirmed, 1 refused

METHOD                          CALLS  PER S P50 MS    P95    P99    MAX ERRORS
CatalogService/GetProduct          98    1.5    2.0    2.0    2.0    2.0      0
OrderService/PlaceOrder             2    0.0   40.2    150    150    150      1
all                               100    1.5    2.0    2.0   40.2    150      1

METHOD                   CODE                 COUNT
OrderService/PlaceOrder  FAILED_PRECONDITION  1      the shop's right
OrderService/PlaceOrder  UNAVAILABLE          1      unexpected: the service is not available at the moment (trace 4bf92f3577b34da6a3ce929d0e0e4736)
`,
  );
});

test("the summary says what came of it, in words and as JSON", () => {
  const ledger = ledgerWithAll();
  const text = summary(ledger.tally(), 65_000);
  expect(text).toContain("1 visits in 01:05, 100 calls, orders 2 confirmed, 1 refused\n");
  expect(text.endsWith("1 unexpected errors\n")).toBe(true);
  const document: unknown = JSON.parse(
    summaryJson(ledger.tally(), { gateway: "http://x", seed: 1, rate: 20, users: 2 }, 65_000),
  );
  expect(document).toMatchObject({
    gateway: "http://x",
    seconds: 65,
    calls: { calls: 100, failed: 1 },
    methods: { "CatalogService/GetProduct": { calls: 98, p50Ms: 2 } },
    endings: [
      { code: "FAILED_PRECONDITION", t: "refused" },
      { code: "UNAVAILABLE", t: "failed", count: 1 },
    ],
    orders: { confirmed: 2, refused: 1 },
  });
});

test("what an error says is shown without card numbers and tokens", () => {
  const digits = "6".repeat(4);
  const number = `${digits} ${digits} ${digits} ${digits}`;
  expect(
    withoutSecrets(
      `card "${number}" and ${number.replaceAll(" ", "")}, token card_7b0f4c9e-1111-2222-3333-444455556666`,
    ),
  ).toBe('card "…" and …, token …');
  expect(withoutSecrets("order 12 is over: try again")).toBe("order 12 is over: try again");
});
