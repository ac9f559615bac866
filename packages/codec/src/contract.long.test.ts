import { describe, test } from "vitest";
import { Codecs } from "./codec.js";
import { codecContract } from "./testing/contract.js";

describe.each(["source", "closures"] as const)("codecs made of %s, with many more random inputs", (backend) => {
  const codecs = new Codecs(backend);
  test.each(codecContract)("$name", ({ run }) => run(codecs, 100), 1_800_000);
});
