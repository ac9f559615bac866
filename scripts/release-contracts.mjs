// Makes the present contracts the released ones, against which every later change is judged. The only thing that moves
// proto/released.binpb. Refuses what would break callers of the last release: such a change is a new package (v2) beside the old.
// `--root DIR` releases another folder.
import { execFileSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buf, buildImage, rootFromArguments } from "./contract-image.mjs";

const root = rootFromArguments();
const released = join(root, "proto/released.binpb");
const script = (name) => fileURLToPath(new URL(name, import.meta.url));
const checks = [
  ["buf lint", () => buf(root, ["lint"])],
  [
    "contract-lint",
    () => execFileSync(process.execPath, [script("contract-lint.mjs"), "--root", root], { stdio: "pipe" }),
  ],
];
if (existsSync(released)) {
  checks.push([
    "breaking",
    () => execFileSync(process.execPath, [script("breaking.mjs"), "--root", root], { stdio: "pipe" }),
  ]);
}
let refused = false;
for (const [name, check] of checks) {
  try {
    check();
  } catch (error) {
    refused = true;
    process.stderr.write(
      `release-contracts: ${name} refuses:\n${error.stdout ?? ""}${error.stderr ?? error.message}\n`,
    );
  }
}
if (refused) process.exitCode = 1;
else {
  writeFileSync(released, buildImage(root));
  process.stdout.write("release-contracts: proto/released.binpb now holds the present contracts\n");
}
