import { Int64ValueSchema, StringValueSchema } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { saga } from "./saga.js";

test("later steps see earlier results, each with its type", () => {
  const definition = saga("place", { version: 1, input: StringValueSchema })
    .step("reserve", {
      result: Int64ValueSchema,
      run: async (call) => ({ value: BigInt(call.input.value.length) }),
      compensate: async (call) => {
        const held: bigint | undefined = call.result?.value;
        return held;
      },
    })
    .parallel("both", (group) =>
      group
        .step("left", {
          result: StringValueSchema,
          run: async (call) => ({ value: String(call.results.reserve.value) }),
        })
        .step("right", { run: async () => {} }),
    )
    .pivot("capture", {
      result: StringValueSchema,
      run: async (call) => {
        const left: string = call.results.left.value;
        const right: undefined = call.results.right;
        return { value: left + String(right) };
      },
      ask: async () => ({ t: "found", result: { value: "asked" } }),
    })
    .step("ship", { run: async (call) => call.results.capture.value });
  expect(definition.nodes.map((node) => node.name)).toEqual(["reserve", "both", "capture", "ship"]);
});

test("two steps of one name are refused", () => {
  const one = saga("twice", { version: 1, input: StringValueSchema }).step("a", { run: async () => {} });
  expect(() => one.step("a", { run: async () => {} })).toThrow('two steps are named "a"');
  expect(() => one.parallel("group", (group) => group.step("a", { run: async () => {} }))).toThrow("two steps");
});

test("names and versions that cannot be are refused", () => {
  expect(() => saga("Place", { version: 1, input: StringValueSchema })).toThrow('saga "Place"');
  expect(() => saga("place", { version: 0, input: StringValueSchema })).toThrow("version 0");
  expect(() =>
    saga("place", { version: 1, input: StringValueSchema }).step("a", { run: async () => {}, policy: { attempts: 0 } }),
  ).toThrow("attempts 0");
});
