import { AnySchema } from "@bufbuild/protobuf/wkt";
import { Codecs, codecOf } from "../codec.js";
import { canCompileSource } from "../source/source.js";
import { codecContract } from "./contract.js";

// Runs the contract in this process with the codecs that it would choose by itself, and prints what happened as JSON.
codecOf(AnySchema);
const failed: string[] = [];
const codecs = new Codecs(canCompileSource() ? "source" : "closures");
for (const { name, run } of codecContract) {
  try {
    run(codecs, 1);
  } catch (error) {
    failed.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
process.stdout.write(JSON.stringify({ compiles: canCompileSource(), cases: codecContract.length, failed }));
