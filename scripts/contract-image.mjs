// What the scripts on contracts share: building descriptors from a proto folder, and reading an image of them.
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createFileRegistry, fromBinary, getExtension } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema, MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";

const repository = fileURLToPath(new URL("..", import.meta.url));

/** The folder whose contracts are meant: `--root DIR`, else the repository. Tests give a copy. */
export function rootFromArguments() {
  const at = process.argv.indexOf("--root");
  return at === -1 ? repository : (process.argv[at + 1] ?? repository);
}

/** Runs buf in a folder that holds a buf.yaml; `input` goes to its standard input. */
export function buf(root, args, input) {
  return execFileSync(join(repository, "node_modules/.bin/buf"), args, {
    cwd: root,
    maxBuffer: 64 << 20,
    stdio: ["pipe", "pipe", "pipe"],
    ...(input === undefined ? {} : { input }),
  });
}

/**
 * The bytes of a FileDescriptorSet of our own contracts and what they import: what is released, and compared with what was.
 * With `places`, complaints can name lines.
 */
export function buildImage(root, { places = false } = {}) {
  const own = ["--path", "proto/shop", "--path", "proto/weft", "--exclude-path", "proto/weft/bench"];
  return buf(root, ["build", ...own, ...(places ? [] : ["--exclude-source-info"]), "-o", "-#format=binpb"]);
}

/** Reads an image into what the rules look at: the methods, fields and options of our own packages. */
export function readContracts(image) {
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, image));
  const option = (name) => {
    const extension = registry.getExtension(`weft.options.v1.${name}`);
    return (options) =>
      extension === undefined || options === undefined ? undefined : getExtension(options, extension);
  };
  const exposure = option("exposure");
  const scope = option("scope");
  const sensitive = option("sensitive");
  const methods = new Map();
  const fields = new Map();
  const options = new Map();
  for (const type of registry) {
    if (!/^(shop|weft)\./.test(type.typeName)) continue;
    if (type.kind === "extension") options.set(type.typeName, type.number);
    if (type.kind === "service") {
      for (const method of type.methods) {
        methods.set(`${type.typeName}/${method.name}`, {
          request: method.input,
          changes: method.idempotency !== MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS,
          saysWhether: method.idempotency !== MethodOptions_IdempotencyLevel.IDEMPOTENCY_UNKNOWN,
          isPublic: exposure(method.proto.options) === 2,
          scope: scope(method.proto.options) ?? "",
        });
      }
    }
    if (type.kind === "message") {
      for (const field of type.fields) {
        fields.set(`${type.typeName}.${field.name}`, { sensitive: sensitive(field.proto.options) === true });
      }
    }
  }
  return { methods, fields, options };
}
