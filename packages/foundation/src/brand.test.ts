import { expect, test } from "vitest";
import { type Brand, brandMaker } from "./brand.js";

test("a value that does not fit is refused with the brand's name and the value", () => {
  type ClusterName = Brand<string, "ClusterName">;
  const clusterName = brandMaker<ClusterName>("cluster name", (value) => (value === "" ? "is empty" : undefined));
  expect(clusterName("orders.shop:8080")).toBe("orders.shop:8080");
  expect(() => clusterName("")).toThrow('cluster name "": is empty');
});
