// Refuses a change of the contracts that would break somebody who was built against the released ones: buf's own rules, and ours on what
// Weft's options promise. `--root DIR` checks another folder against its own proto/released.binpb.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { buf, buildImage, readContracts, rootFromArguments } from "./contract-image.mjs";

const root = rootFromArguments();
const released = join(root, "proto/released.binpb");
const image = buildImage(root, { places: true });
const problems = existsSync(released) ? [...brokenForBuf(), ...brokenPromises()] : ["proto/released.binpb is missing"];
for (const problem of problems) process.stderr.write(`breaking: ${problem}\n`);
process.exitCode = problems.length === 0 ? 0 : 1;

function brokenForBuf() {
  try {
    buf(root, ["breaking", "-#format=binpb", "--against", "proto/released.binpb"], image);
    return [];
  } catch (error) {
    const said = `${error.stdout ?? ""}${error.stderr ?? ""}`.trim();
    return said === "" ? [error.message] : said.split("\n");
  }
}

/** What was promised by options: who may call, with which scope, and what is kept secret. */
function brokenPromises() {
  const before = readContracts(readFileSync(released));
  const after = readContracts(image);
  const found = [];
  for (const [name, was] of before.methods) {
    const is = after.methods.get(name);
    if (is === undefined) continue; // buf has said so
    if (was.isPublic && !is.isPublic) found.push(`${name}: was public and is no more`);
    if (was.scope !== is.scope)
      found.push(`${name}: its scope was "${was.scope}" and is "${is.scope}": callers hold the old one`);
    if (!was.changes && is.changes) found.push(`${name}: changed nothing before and does now: callers retry it freely`);
  }
  for (const [name, was] of before.fields) {
    const is = after.fields.get(name);
    if (is !== undefined && was.sensitive && !is.sensitive) found.push(`${name}: was sensitive and is no more`);
  }
  for (const [name, was] of before.options) {
    const is = after.options.get(name);
    if (is !== was) found.push(`option ${name}: its number was ${was} and is ${is ?? "gone"}: nobody reads the other`);
  }
  return found;
}
