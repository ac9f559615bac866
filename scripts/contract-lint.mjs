// The rules on contracts that buf's lint does not know. `--root DIR` checks another folder.
import { ScalarType } from "@bufbuild/protobuf";
import { buildImage, readContracts, rootFromArguments } from "./contract-image.mjs";

/** Names under which a request would say for whom it is. The caller's identity comes with the call, and is never a claim in its body. */
const whoIsAsking = /(^|_)(user|principal|caller|owner|customer|actor|subject|on_behalf_of)(_id|_name|_email)?$/;

const { methods } = readContracts(buildImage(rootFromArguments()));
const problems = [];
for (const [name, method] of methods) problems.push(...problemsOf(method).map((problem) => `${name}: ${problem}`));
for (const problem of problems) process.stderr.write(`contract-lint: ${problem}\n`);
process.exitCode = problems.length === 0 ? 0 : 1;

function problemsOf(method) {
  const found = [];
  if (!method.saysWhether) {
    found.push("does not say whether it changes something: set idempotency_level to NO_SIDE_EFFECTS or IDEMPOTENT");
  } else if (method.changes) {
    const key = method.request.fields.find((field) => field.name === "idempotency_key");
    const isPlainString =
      key?.fieldKind === "scalar" &&
      key.scalar === ScalarType.STRING &&
      key.oneof === undefined &&
      !key.proto.proto3Optional;
    if (!isPlainString) found.push(`changes something, so ${method.request.typeName} needs \`string idempotency_key\``);
  }
  if (method.isPublic && method.scope === "") found.push("is public, so it needs a scope");
  walk(method.request, (path, field) => {
    if (whoIsAsking.test(field.name))
      found.push(`request field ${path} says who is asking: that comes with the call, not in the request`);
    if (method.changes && field.fieldKind === "map") {
      found.push(
        `request field ${path} is a map: its bytes have no fixed order, so equal requests could not be told from others`,
      );
    }
  });
  return found;
}

/** Visits each field of a message and of those within it, each message once. */
function walk(message, visit, path = "", seen = new Set()) {
  if (seen.has(message.typeName)) return;
  seen.add(message.typeName);
  for (const field of message.fields) {
    const here = path === "" ? field.name : `${path}.${field.name}`;
    visit(here, field);
    if (field.message !== undefined) walk(field.message, visit, here, seen);
  }
}
