import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Int64ValueSchema, StringValueSchema } from "@bufbuild/protobuf/wkt";
import { afterAll, expect, test } from "vitest";
import { definitionFingerprint } from "../definition/fingerprint.js";
import { saga } from "../definition/saga.js";
import { assertReleasedSagas } from "./released-sagas.js";

const folder = mkdtempSync(join(tmpdir(), "weft-released-"));
afterAll(() => rmSync(folder, { recursive: true }));
const run = async (): Promise<void> => {};
const base = saga("order", { version: 1, input: StringValueSchema })
  .step("a", { run, compensate: run })
  .step("b", { run });
const file = join(folder, "released.json");
writeFileSync(file, JSON.stringify({ order: { 1: definitionFingerprint(base) } }));

test("a released version that is as it was passes, with other policies too", () => {
  const tuned = saga("order", { version: 1, input: StringValueSchema })
    .step("a", { run, compensate: run, policy: { attempts: 9 } })
    .step("b", { run });
  expect(() => assertReleasedSagas([tuned], file)).not.toThrow();
  expect(() => assertReleasedSagas([], file)).not.toThrow();
});

test("a released version whose steps changed fails, and says what to do", () => {
  const grown = base.pivot("c", { run });
  expect(() => assertReleasedSagas([grown], file)).toThrow(/make it version 2[\s\S]*\+ pivot c/);
  const turned = saga("order", { version: 1, input: StringValueSchema })
    .step("b", { run })
    .step("a", { run, compensate: run });
  expect(() => assertReleasedSagas([turned], file)).toThrow("another order");
  const other = saga("order", { version: 1, input: Int64ValueSchema })
    .step("a", { run, compensate: run })
    .step("b", { run });
  expect(() => assertReleasedSagas([other], file)).toThrow("input google.protobuf.StringValue");
  const less = saga("order", { version: 1, input: StringValueSchema }).step("a", { run }).step("b", { run });
  expect(() => assertReleasedSagas([less], file)).toThrow("step a compensates");
});

test("a version that is not released yet comes with the line that releases it", () => {
  const next = saga("order", { version: 2, input: StringValueSchema }).step("a", { run });
  expect(() => assertReleasedSagas([next], file)).toThrow('add "2": ["input google.protobuf.StringValue","step a"]');
});
