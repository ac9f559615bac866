import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import {
  createFileRegistry,
  type DescEnum,
  type DescField,
  type DescMessage,
  type FileRegistry,
  fromBinary,
} from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { beforeAll, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const upstreamRoots = ["envoy-api", "xds", "googleapis", "protoc-gen-validate"].map((name) =>
  join(root, "node_modules/@grpc/grpc-js-xds/deps", name),
);

/** Folders of proto/ that repeat what upstream defines. */
const subsetFolders = ["envoy", "google"];

/** What upstream must agree to, as plain text: one line for each thing, under a unique key. */
type Facts = ReadonlyMap<string, string>;

let upstream: Facts;
let ours: Facts;

beforeAll(() => {
  const files = subsetFolders.flatMap((folder) => protoFiles(join(root, "proto", folder)));
  const scratch = mkdtempSync(join(tmpdir(), "weft-subset-"));
  try {
    const own = subsetFolders.flatMap((folder) => ["--path", join(root, "proto", folder)]);
    ours = factsOf(build(join(root, "proto"), join(scratch, "ours.binpb"), own), files);
    const staged = join(scratch, "upstream");
    stageClosure(files, staged);
    upstream = factsOf(build(staged, join(scratch, "upstream.binpb")), files);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
});

describe("the subset of xDS in proto/", () => {
  test("has messages, fields, enums and methods to compare", () => {
    expect(ours.size).toBeGreaterThan(200);
    expect(ours.get("envoy.config.cluster.v3.Cluster.lb_policy")).toContain("number 6");
  });

  test("says nothing that upstream says otherwise", () => {
    expect(differences(ours, upstream)).toEqual([]);
  });

  test.each([
    ["another number", "number 6", "number 7"],
    ["another type", "envoy.config.cluster.v3.Cluster.LbPolicy", "string"],
    ["another label", "optional", "repeated"],
    ["another JSON name", "json lbPolicy", "json policy"],
  ])("would be told of %s", (_, was, is) => {
    const key = "envoy.config.cluster.v3.Cluster.lb_policy";
    const forged = new Map([...ours, [key, ours.get(key)?.replace(was, is) ?? ""]]);
    expect(differences(forged, upstream)).toHaveLength(1);
  });

  test("would be told of a field that upstream does not have", () => {
    const forged = new Map([...ours, ["envoy.config.cluster.v3.Cluster.weft", "field number 1"]]);
    expect(differences(forged, upstream)).toHaveLength(1);
  });
});

function differences(subset: Facts, whole: Facts): string[] {
  return [...subset]
    .filter(([key, fact]) => whole.get(key) !== fact)
    .map(([key, fact]) => `${key}: ${fact}; upstream: ${whole.get(key) ?? "nothing"}`);
}

function factsOf(registry: FileRegistry, files: readonly string[]): Facts {
  const facts = new Map<string, string>();
  const addEnum = (type: DescEnum): void => {
    facts.set(type.typeName, `enum in ${type.file.proto.name}`);
    for (const value of type.values) facts.set(`${type.typeName}.${value.name}`, `number ${value.number}`);
  };
  const addMessage = (type: DescMessage): void => {
    facts.set(type.typeName, `message in ${type.file.proto.name}`);
    for (const field of type.fields) facts.set(`${type.typeName}.${field.name}`, fieldFact(field));
    for (const nested of type.nestedMessages) addMessage(nested);
    for (const nested of type.nestedEnums) addEnum(nested);
  };
  for (const name of files) {
    const file = registry.getFile(name);
    if (file === undefined) throw new Error(`${name} was not built`);
    facts.set(name, `${file.proto.syntax} package ${file.proto.package}`);
    for (const type of file.messages) addMessage(type);
    for (const type of file.enums) addEnum(type);
    for (const service of file.services) {
      for (const method of service.methods) {
        const types = `${method.input.typeName} to ${method.output.typeName}`;
        facts.set(`${service.typeName}.${method.name}`, `${method.methodKind} from ${types}`);
      }
    }
  }
  return facts;
}

function fieldFact(field: DescField): string {
  const { number, jsonName, label, type, typeName, proto3Optional, options } = field.proto;
  const labels = ["", "optional", "required", "repeated"];
  return [
    `number ${number}`,
    labels[label],
    `type ${type} ${typeName.slice(1)}`,
    `in oneof ${field.oneof?.name ?? "none"}`,
    `presence ${proto3Optional}`,
    `deprecated ${options?.deprecated ?? false}`,
    `json ${jsonName}`,
  ].join(", ");
}

function build(folder: string, output: string, options: readonly string[] = []): FileRegistry {
  execFileSync(join(root, "node_modules/.bin/buf"), ["build", folder, "-o", output, ...options], { stdio: "pipe" });
  return createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(output)));
}

function protoFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".proto"))
    .map((name) => relative(join(root, "proto"), join(folder, name)));
}

/** Copies these upstream files and whatever they import: the rest of the tree has files that do not compile. */
function stageClosure(files: readonly string[], target: string): void {
  const waiting = [...files];
  const staged = new Set<string>();
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (staged.has(file) || file.startsWith("google/protobuf/")) continue;
    staged.add(file);
    const from = upstreamRoots.map((folder) => join(folder, file)).find((path) => existsSync(path));
    if (from === undefined) throw new Error(`${file} is not in the upstream tree`);
    const to = join(target, file);
    mkdirSync(dirname(to), { recursive: true });
    cpSync(from, to);
    for (const [, imported] of readFileSync(from, "utf8").matchAll(/^import\s+(?:public\s+|weak\s+)?"([^"]+)"/gm)) {
      if (imported !== undefined) waiting.push(imported);
    }
  }
  // The envoy-api that is shipped uses an option which the validate.proto beside it lacks.
  const rules = join(target, "validate/validate.proto");
  const strict = "optional bool strict = 25";
  writeFileSync(rules, readFileSync(rules, "utf8").replace(strict, `optional bool ignore_empty = 26;\n${strict}`));
}
