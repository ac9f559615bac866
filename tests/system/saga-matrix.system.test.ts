import { afterAll, beforeAll, expect, test } from "vitest";
import { faults } from "./saga-matrix/cells.js";
import { learnMatrix, type Matrix } from "./saga-matrix/run-matrix.js";
import { type Shop, startShop } from "./saga-matrix/shop.js";
import { tableOf } from "./saga-matrix/table.js";

let shop: Shop;
let matrix: Matrix;

beforeAll(async () => {
  shop = await startShop({ lanes: 4 });
  matrix = await learnMatrix(shop);
}, 480_000);

afterAll(async () => {
  await shop?.[Symbol.asyncDispose]();
}, 60_000);

test("/metrics says of two orders, one confirmed and one called off, what became of them and of each step", async () => {
  const text = await (await fetch(`http://127.0.0.1:${shop.lanes[0]?.process.adminPort}/metrics`)).text();
  const counted = (name: string, labels: string): number => {
    const line = text
      .split("\n")
      .find((one) => one.startsWith(`${name}{saga="place-order",${labels},otel_scope_name=`));
    return Number(line?.split(" ").at(-1) ?? 0);
  };
  expect(counted("weft_saga_started_total", 'version="1"')).toBe(2);
  for (const outcome of ["completed", "compensated"])
    expect(counted("weft_saga_duration_count", `version="1",outcome="${outcome}"`)).toBe(1);
  const steps = [...new Set(matrix.cells.map(({ row }) => row.step))];
  const attempts = (step: string, kind: string, outcome: string): number =>
    counted("weft_saga_step_attempt_duration_count", `step="${step}",kind="${kind}",outcome="${outcome}"`);
  expect(steps.map(({ name }) => [name, attempts(name, "run", "done"), attempts(name, "compensate", "done")])).toEqual(
    steps.map(({ name, place, compensates }) => [name, place === "before" ? 2 : 1, compensates ? 1 : 0]),
  );
  // The bank's question was not answered at the first look.
  expect(attempts("challenge", "run", "transient")).toBeGreaterThan(0);
});

test.each(faults)(
  "every step of an order, at every moment: %s",
  async (fault) => {
    await matrix.run(matrix.cells.filter((cell) => cell.fault === fault));
    expect(matrix.problems).toEqual([]);
  },
  1_200_000,
);

test("the matrix is as docs/proof has it", async () => {
  const untried = matrix.cells.filter((cell) => cell.without === undefined && !matrix.outcomes.has(cell));
  expect(untried.map(({ name }) => name)).toEqual([]);
  const table = tableOf(matrix.cells, matrix.outcomes);
  console.log(table);
  await expect(table).toMatchFileSnapshot("../../docs/proof/saga-matrix.md");
});
