import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { create, toBinary, toJsonString } from "@bufbuild/protobuf";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { ExportTraceServiceResponseSchema } from "@weft/contracts/opentelemetry/proto/collector/trace/v1";
import type { StoredSpan } from "../store/span.js";
import { fromOtlp } from "./from-otlp.js";
import type { Interner } from "./interner.js";
import { type Encoding, parseBody } from "./parse-body.js";
import { type BodyLimits, type BodyRefused, readBody } from "./read-body.js";

/** What the receiver is made of. */
export interface ReceiverOptions {
  readonly limits: BodyLimits;
  /** Requests at once; more are told to come again (503). */
  readonly maxInFlight: number;
  readonly interner: Interner;
  /** Keeps a span; false when there is no room in its trace. */
  keep(span: StoredSpan): boolean;
}

/**
 * OTLP over HTTP (OTLP specification 1.x): POST /v1/traces is kept; /v1/metrics and /v1/logs are taken and dropped, so that an exporter that
 * sends everything to one place does not fail.
 */
export function createReceiver(options: ReceiverOptions): RequestListener {
  let inFlight = 0;
  return async (request, response) => {
    inFlight++;
    try {
      if (inFlight > options.maxInFlight)
        return refuse(request, response, { status: 503, message: "too many requests at once" });
      await receive(request, response, options);
    } catch {
      // The connection is gone: nobody waits for an answer.
      response.destroy();
    } finally {
      inFlight--;
    }
  };
}

async function receive(request: IncomingMessage, response: ServerResponse, options: ReceiverOptions): Promise<void> {
  const path = new URL(request.url ?? "/", "http://localhost").pathname;
  const keeps = path === "/v1/traces";
  if (!keeps && path !== "/v1/metrics" && path !== "/v1/logs")
    return refuse(request, response, { status: 404, message: `no such path: ${path}` });
  if (request.method !== "POST") {
    response.setHeader("allow", "POST");
    return refuse(request, response, { status: 405, message: "only POST" });
  }
  const encoding = encodingOf(request);
  if (encoding === undefined)
    return refuse(request, response, { status: 415, message: "send application/x-protobuf or application/json" });
  const body = await readBody(request, options.limits);
  if (!body.ok) return refuse(request, response, body.error);
  if (!keeps) return answer(response, encoding, new Uint8Array(), "{}");
  const message = parseBody(body.value, encoding);
  if (!message.ok) return refuse(request, response, { status: 400, message: message.error });
  let rejected = 0;
  let why = "";
  for (const received of fromOtlp(message.value, options.interner)) {
    if (received.t === "span" && options.keep(received.span)) continue;
    rejected++;
    why = received.t === "invalid" ? received.why : "the trace holds as much as is kept of one";
  }
  const reply = create(
    ExportTraceServiceResponseSchema,
    rejected === 0 ? {} : { partialSuccess: { rejectedSpans: BigInt(rejected), errorMessage: why } },
  );
  answer(
    response,
    encoding,
    toBinary(ExportTraceServiceResponseSchema, reply),
    toJsonString(ExportTraceServiceResponseSchema, reply),
  );
}

function encodingOf(request: IncomingMessage): Encoding | undefined {
  const type = (request.headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase();
  if (type === "application/x-protobuf") return "protobuf";
  return type === "application/json" ? "json" : undefined;
}

function answer(response: ServerResponse, encoding: Encoding, binary: Uint8Array, text: string): void {
  response.writeHead(200, { "content-type": contentTypes[encoding] });
  response.end(encoding === "json" ? text : binary);
}

const contentTypes = { protobuf: "application/x-protobuf", json: "application/json" } as const;

/** Codes of google.rpc.Status for what is refused; what is not listed is the sender's mistake. */
const rpcCodes: Readonly<Record<number, number>> = { 404: 12, 405: 12, 413: 8, 503: 14 };

/** Refuses with a google.rpc.Status in the encoding of the request, as OTLP asks. */
function refuse(request: IncomingMessage, response: ServerResponse, refusal: BodyRefused): void {
  const encoding = encodingOf(request) ?? "json";
  const code = rpcCodes[refusal.status] ?? 3;
  response.writeHead(refusal.status, {
    "content-type": contentTypes[encoding],
    ...(refusal.status === 503 ? { "retry-after": "1" } : {}),
    // What is left of the body is not read.
    connection: "close",
  });
  response.end(
    encoding === "json"
      ? JSON.stringify({ code, message: refusal.message })
      : new BinaryWriter().uint32(8).int32(code).uint32(18).string(refusal.message).finish(),
  );
}
