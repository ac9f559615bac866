import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type ExportTraceServiceRequest,
  ExportTraceServiceRequestSchema,
} from "@weft/contracts/opentelemetry/proto/collector/trace/v1";
import type { AnyValueSchema, KeyValueSchema } from "@weft/contracts/opentelemetry/proto/common/v1";
import { Span_SpanKind, type SpanSchema, Status_StatusCode } from "@weft/contracts/opentelemetry/proto/trace/v1";

type Plain = string | number | boolean | Uint8Array | readonly Plain[] | { readonly [key: string]: Plain };

export interface SampleSpan {
  readonly id: number;
  readonly parent?: number;
  readonly service: string;
  readonly name: string;
  readonly kind?: "server" | "client" | "internal";
  readonly fromMs: number;
  readonly toMs: number;
  readonly attributes?: Readonly<Record<string, Plain>>;
  readonly error?: string;
  readonly ok?: boolean;
  readonly event?: string;
  readonly link?: string;
  readonly traceState?: string;
}

/** An export request of spans of one trace, `startMs` the epoch that their times count from. */
export function sampleRequest(
  traceId: string,
  startMs: number,
  spans: readonly SampleSpan[],
): ExportTraceServiceRequest {
  const services = [...new Set(spans.map((span) => span.service))];
  return create(ExportTraceServiceRequestSchema, {
    resourceSpans: services.map((service) => ({
      resource: { attributes: attributesOf({ "service.name": service, "k8s.pod.name": `${service}-0` }) },
      scopeSpans: [
        {
          scope: { name: "@weft/mesh", version: "0.1.0" },
          spans: spans.filter((span) => span.service === service).map((span) => spanOf(traceId, startMs, span)),
        },
      ],
    })),
  });
}

/** The id of the n-th sample span. */
export function spanIdOf(id: number): string {
  return id.toString(16).padStart(16, "0");
}

const orders = "shop.orders.v1.OrderService/PlaceOrder";
const products = "shop.catalog.v1.CatalogService/GetProducts";
const reserve = "shop.inventory.v1.InventoryService/Reserve";

/** One order: gateway → orders → catalog and inventory, the first attempt at inventory failing. */
export const orderSpans: readonly SampleSpan[] = [
  {
    id: 1,
    service: "gateway",
    name: `POST /${orders}`,
    kind: "server",
    fromMs: 0,
    toMs: 41,
    attributes: { "http.response.status_code": 200 },
  },
  {
    id: 2,
    parent: 1,
    service: "gateway",
    name: orders,
    kind: "client",
    fromMs: 2,
    toMs: 40,
    attributes: call("127.3.4.12", 0),
    traceState: "a=b",
  },
  {
    id: 3,
    parent: 2,
    service: "orders",
    name: orders,
    kind: "server",
    fromMs: 3,
    toMs: 39,
    attributes: { "rpc.grpc.status_code": 0 },
    ok: true,
  },
  {
    id: 4,
    parent: 3,
    service: "orders",
    name: products,
    kind: "client",
    fromMs: 4,
    toMs: 11,
    attributes: call("127.3.4.7", 0),
  },
  {
    id: 5,
    parent: 4,
    service: "catalog",
    name: products,
    kind: "server",
    fromMs: 5,
    toMs: 10,
    attributes: { ratio: 0.5, list: ["a", 1], map: { k: "v" }, flag: true },
  },
  {
    id: 6,
    parent: 3,
    service: "orders",
    name: reserve,
    kind: "client",
    fromMs: 12,
    toMs: 15,
    attributes: call("127.3.4.9", 14),
    error: "connection reset",
  },
  {
    id: 7,
    parent: 3,
    service: "orders",
    name: reserve,
    kind: "client",
    fromMs: 16,
    toMs: 30,
    attributes: { ...call("127.3.4.10", 0), "weft.attempt": 2 },
  },
  {
    id: 8,
    parent: 7,
    service: "inventory",
    name: reserve,
    kind: "server",
    fromMs: 17,
    toMs: 29,
    event: "rows locked",
    link: "0af7651916cd43dd8448eb211c80319c",
  },
  { id: 9, parent: 8, service: "inventory", name: "update stock", fromMs: 18, toMs: 27 },
];

function call(address: string, status: number): Readonly<Record<string, Plain>> {
  return { "rpc.system": "grpc", "server.address": address, "server.port": 8080, "rpc.grpc.status_code": status };
}

function spanOf(traceId: string, startMs: number, span: SampleSpan): MessageInitShape<typeof SpanSchema> {
  const nanos = (ms: number): bigint => BigInt(startMs) * 1_000_000n + BigInt(Math.round(ms * 1_000_000));
  const kinds = { server: Span_SpanKind.SERVER, client: Span_SpanKind.CLIENT, internal: Span_SpanKind.INTERNAL };
  return {
    traceId: Buffer.from(traceId, "hex"),
    spanId: Buffer.from(spanIdOf(span.id), "hex"),
    ...(span.parent === undefined ? {} : { parentSpanId: Buffer.from(spanIdOf(span.parent), "hex") }),
    name: span.name,
    kind: kinds[span.kind ?? "internal"],
    startTimeUnixNano: nanos(span.fromMs),
    endTimeUnixNano: nanos(span.toMs),
    attributes: attributesOf(span.attributes ?? {}),
    traceState: span.traceState ?? "",
    events:
      span.event === undefined
        ? []
        : [{ name: span.event, timeUnixNano: nanos(span.fromMs), attributes: attributesOf({ rows: 3 }) }],
    links:
      span.link === undefined
        ? []
        : [{ traceId: Buffer.from(span.link, "hex"), spanId: Buffer.from(spanIdOf(99), "hex") }],
    status:
      span.error !== undefined
        ? { code: Status_StatusCode.ERROR, message: span.error }
        : { code: span.ok === true ? Status_StatusCode.OK : Status_StatusCode.UNSET },
  };
}

function attributesOf(values: Readonly<Record<string, Plain>>): MessageInitShape<typeof KeyValueSchema>[] {
  return Object.entries(values).map(([key, value]) => ({ key, value: anyValueOf(value) }));
}

function anyValueOf(value: Plain): MessageInitShape<typeof AnyValueSchema> {
  if (typeof value === "string") return { value: { case: "stringValue", value } };
  if (typeof value === "boolean") return { value: { case: "boolValue", value } };
  if (value instanceof Uint8Array) return { value: { case: "bytesValue", value } };
  if (typeof value === "number")
    return Number.isInteger(value)
      ? { value: { case: "intValue", value: BigInt(value) } }
      : { value: { case: "doubleValue", value } };
  if (isList(value)) return { value: { case: "arrayValue", value: { values: value.map(anyValueOf) } } };
  return { value: { case: "kvlistValue", value: { values: attributesOf(value) } } };
}

function isList(value: Plain): value is readonly Plain[] {
  return Array.isArray(value);
}
