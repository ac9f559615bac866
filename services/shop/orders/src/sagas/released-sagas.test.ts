import { assertReleasedSagas } from "@weft/saga/testing";
import { createDatabase } from "@weft/store";
import { expect, test } from "vitest";
import { createOrderStore } from "../store.js";
import { FakeShop } from "../testing/fake-shop.js";
import { defineOrderSagas, knownDefinitions } from "./definitions.js";

test("the released versions of the orders' sagas are as they were released", async () => {
  await using database = createDatabase({ url: "postgres://nobody@127.0.0.1:1/none" });
  const parts = { ...new FakeShop().participants, store: createOrderStore(database) };
  const definitions = knownDefinitions(defineOrderSagas(parts));
  expect(() => assertReleasedSagas(definitions, new URL("released-sagas.json", import.meta.url))).not.toThrow();
});
