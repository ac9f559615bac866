import { isRecord } from "@weft/kube";
import { sameJson } from "../../kinds/path.js";
import { ApiError, badRequest } from "../status.js";

/** JSON patch (RFC 6902). Throws 400 for what is no patch, 422 for one that does not fit the object. */
export function jsonPatch(target: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch)) throw badRequest("error decoding patch: expected a list of operations");
  if (patch.length > 10_000) {
    throw new ApiError(
      413,
      "RequestEntityTooLarge",
      `The allowed maximum operations in a JSON patch is 10000, got ${patch.length}`,
    );
  }
  let result = target;
  for (const operation of patch) result = applyOperation(result, operation);
  return result;
}

function applyOperation(target: unknown, operation: unknown): unknown {
  if (!isRecord(operation)) throw badRequest("error decoding patch: an operation is not an object");
  const path = pointer(operation["path"]);
  switch (operation["op"]) {
    case "add":
      return put(target, path, operation["value"], "add");
    case "replace":
      read(target, path);
      return put(target, path, operation["value"], "replace");
    case "remove":
      return remove(target, path);
    case "test":
      if (sameJson(read(target, path), operation["value"])) return target;
      throw unfit(`testing value ${show(path)} failed`);
    case "copy":
      return put(target, path, read(target, pointer(operation["from"])), "add");
    case "move": {
      const from = pointer(operation["from"]);
      return put(remove(target, from), path, read(target, from), "add");
    }
    default:
      throw badRequest(`error decoding patch: unknown operation ${JSON.stringify(operation["op"])}`);
  }
}

function pointer(value: unknown): readonly string[] {
  if (typeof value !== "string" || (value !== "" && !value.startsWith("/"))) {
    throw badRequest(`error decoding patch: ${JSON.stringify(value)} is not a JSON pointer`);
  }
  return value === ""
    ? []
    : value
        .slice(1)
        .split("/")
        .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}

const show = (path: readonly string[]): string => `/${path.join("/")}`;

function unfit(why: string): ApiError {
  return new ApiError(422, "Invalid", `the server rejected our request due to an error in our request: ${why}`);
}

function read(target: unknown, path: readonly string[]): unknown {
  let here = target;
  for (const part of path) {
    const next = Array.isArray(here)
      ? here[indexOf(part, here.length - 1, path)]
      : isRecord(here)
        ? here[part]
        : undefined;
    if (next === undefined) throw unfit(`path ${show(path)} does not exist`);
    here = next;
  }
  return here;
}

function indexOf(part: string, last: number, path: readonly string[]): number {
  const index = /^(0|[1-9]\d*)$/.test(part) ? Number(part) : Number.NaN;
  if (!(index <= last)) throw unfit(`path ${show(path)}: no index ${JSON.stringify(part)}`);
  return index;
}

function put(target: unknown, path: readonly string[], value: unknown, how: "add" | "replace"): unknown {
  const [part, ...rest] = path;
  if (part === undefined) return value;
  if (Array.isArray(target)) {
    const copy: unknown[] = [...target];
    if (rest.length > 0) {
      const index = indexOf(part, copy.length - 1, path);
      copy[index] = put(copy[index], rest, value, how);
    } else if (how === "replace") copy[indexOf(part, copy.length - 1, path)] = value;
    else copy.splice(part === "-" ? copy.length : indexOf(part, copy.length, path), 0, value);
    return copy;
  }
  if (!isRecord(target)) throw unfit(`path ${show(path)} does not exist`);
  if (rest.length > 0 && target[part] === undefined) throw unfit(`path ${show(path)} does not exist`);
  return { ...target, [part]: rest.length === 0 ? value : put(target[part], rest, value, how) };
}

function remove(target: unknown, path: readonly string[]): unknown {
  const [part, ...rest] = path;
  if (part === undefined) throw unfit("can't remove the whole object");
  if (Array.isArray(target)) {
    const index = indexOf(part, target.length - 1, path);
    const copy: unknown[] = [...target];
    if (rest.length === 0) copy.splice(index, 1);
    else copy[index] = remove(copy[index], rest);
    return copy;
  }
  if (!isRecord(target) || target[part] === undefined) throw unfit(`path ${show(path)} does not exist`);
  if (rest.length > 0) return { ...target, [part]: remove(target[part], rest) };
  const { [part]: _gone, ...left } = target;
  return left;
}
