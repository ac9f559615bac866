import { fromBinary, fromJson, type JsonValue } from "@bufbuild/protobuf";
import {
  type ExportTraceServiceRequest,
  ExportTraceServiceRequestSchema,
} from "@weft/contracts/opentelemetry/proto/collector/trace/v1";
import { type Parsed, parsed, refused } from "@weft/foundation";

/** The two encodings of OTLP over HTTP. */
export type Encoding = "protobuf" | "json";

/** Decodes an export request. */
export function parseBody(body: Uint8Array, encoding: Encoding): Parsed<ExportTraceServiceRequest> {
  try {
    if (encoding === "protobuf") return parsed(fromBinary(ExportTraceServiceRequestSchema, body));
    const json: unknown = JSON.parse(Buffer.from(body).toString("utf8"));
    return parsed(fromJson(ExportTraceServiceRequestSchema, withBase64Ids(json), { ignoreUnknownFields: true }));
  } catch (error) {
    return refused(`not an export request in ${encoding}: ${error instanceof Error ? error.message : "unreadable"}`);
  }
}

const idKeys = new Set(["traceId", "spanId", "parentSpanId"]);

/** OTLP's JSON has ids in hex, where protobuf's JSON has base64 (OTLP specification, "JSON Protobuf Encoding"). */
function withBase64Ids(value: unknown): JsonValue {
  if (Array.isArray(value)) return value.map(withBase64Ids);
  if (typeof value !== "object" || value === null) return fromJsonText(value);
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      idKeys.has(key) && typeof inner === "string" && /^[0-9a-fA-F]*$/.test(inner)
        ? Buffer.from(inner, "hex").toString("base64")
        : withBase64Ids(inner),
    ]),
  );
}

/** What JSON.parse gave is JSON. */
function fromJsonText(value: unknown): JsonValue {
  return value as JsonValue;
}
