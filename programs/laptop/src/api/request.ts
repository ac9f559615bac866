import type { IncomingMessage } from "node:http";
import { parse as parseYaml } from "yaml";
import { parseProtobufBody } from "./protobuf-body.js";
import { ApiError, badRequest } from "./status.js";

/** What the path of a request names. */
export type RequestPath =
  | {
      readonly t: "resource";
      readonly group: string;
      readonly version: string;
      readonly namespace: string;
      readonly plural: string;
      readonly name: string;
      readonly subresource: string;
    }
  | { readonly t: "other"; readonly path: string };

/** Reads a path as the API server does. Throws a 400 for one that can't be decoded. */
export function parsePath(path: string): RequestPath {
  let parts: string[];
  try {
    parts = path.split("/").slice(1).map(decodeURIComponent);
  } catch {
    throw badRequest("the path of the request can't be decoded");
  }
  const core = parts[0] === "api";
  const rest = core ? parts.slice(2) : parts.slice(3);
  const version = core ? parts[1] : parts[2];
  const group = core ? "" : (parts[1] ?? "");
  if (
    (!core && parts[0] !== "apis") ||
    version === undefined ||
    rest.length === 0 ||
    rest.some((part) => part === "")
  ) {
    return { t: "other", path };
  }
  const [first = "", second = "", third = ""] = rest;
  // Namespaces are resources themselves: /namespaces/NAME/status is theirs, /namespaces/NAME/pods is not.
  const within = first === "namespaces" && rest.length > 2 && third !== "status" && third !== "finalize";
  const [plural = "", name = "", subresource = "", ...more] = within ? rest.slice(2) : rest;
  if (more.length > 0) return { t: "other", path };
  return { t: "resource", group, version, namespace: within ? second : "", plural, name, subresource };
}

/** As much as the real one takes. */
const maxBodyBytes = 3 * 1024 * 1024;

/** Reads a body: JSON, or YAML where the type says so. Throws 413, 415, 400. */
export async function readBody(message: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const declared = Number(message.headers["content-length"] ?? 0);
  if (declared > maxBodyBytes) throw tooLarge();
  for await (const chunk of message) {
    bytes += chunk.length;
    if (bytes > maxBodyBytes) throw tooLarge();
    chunks.push(chunk);
  }
  if (bytes === 0) return undefined;
  const type = (message.headers["content-type"] ?? "application/json").split(";")[0]?.trim() ?? "";
  if (type === "application/vnd.kubernetes.protobuf") return parseProtobufBody(Buffer.concat(chunks));
  const yaml = type.endsWith("yaml");
  if (!yaml && !type.endsWith("json")) {
    throw new ApiError(
      415,
      "UnsupportedMediaType",
      "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml",
    );
  }
  const text = Buffer.concat(chunks).toString("utf8");
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!yaml)
      throw badRequest(`couldn't read the body as JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  try {
    return parseYaml(text, { maxAliasCount: 100 });
  } catch (error) {
    throw badRequest(`couldn't read the body as YAML: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function tooLarge(): ApiError {
  return new ApiError(413, "RequestEntityTooLarge", `Request entity too large: limit is ${maxBodyBytes}`);
}

/** Which form of an answer the client asks for. */
export type AnswerForm = "object" | "table" | "metadata";

export function answerForm(accept: string | undefined): AnswerForm {
  for (const part of (accept ?? "").split(",")) {
    if (/;\s*as=Table/.test(part) && /v=v1(?!beta)/.test(part)) return "table";
    if (/;\s*as=PartialObjectMetadata/.test(part) && /v=v1(?!beta)/.test(part)) return "metadata";
    if (part.trim().startsWith("application/json") || part.trim() === "*/*") return "object";
  }
  return "object";
}
