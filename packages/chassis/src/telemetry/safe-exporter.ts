import type { Attributes, AttributeValue } from "@opentelemetry/api";
import type { ReadableSpan, SpanExporter } from "@opentelemetry/sdk-trace-base";
import type { Logger } from "@weft/foundation";
import { cardPlaceholder, isCardNumber } from "../redaction/card-numbers.js";
import { isSecretKey, type Redactor, redacted } from "../redaction/redactor.js";

type ExportResult = Parameters<Parameters<SpanExporter["export"]>[1]>[0];

/** `ExportResultCode.SUCCESS` of @opentelemetry/core. */
const success = 0;

/**
 * An exporter that sends nothing that must not leak, and whose failures stay its own: spans that can't be sent are dropped,
 * which is logged once when it begins and once when it is over.
 */
export function safeExporter(inner: SpanExporter, options: { redactor: Redactor; logger: Logger }): SpanExporter {
  const { redactor, logger } = options;
  let failing = false;
  let dropped = 0;
  const settle = (result: ExportResult, count: number): void => {
    if (result.code !== success) {
      dropped += count;
      if (!failing) logger.warn("traces can't be sent: dropping spans until they can", { error: result.error });
      failing = true;
    } else if (failing) {
      logger.info("traces are sent again", { dropped });
      failing = false;
      dropped = 0;
    }
  };
  return {
    export(spans, done) {
      const finish = (result: ExportResult): void => {
        settle(result, spans.length);
        done({ code: success });
      };
      try {
        inner.export(
          spans.map((span) => safeSpan(span, redactor)),
          finish,
        );
      } catch (error) {
        finish({ code: 1, error: error instanceof Error ? error : new Error(String(error)) });
      }
    },
    shutdown: () => inner.shutdown(),
    forceFlush: async () => inner.forceFlush?.(),
  };
}

/** A view of a span without what must not leak: its names, attributes, events, links and status message. */
export function safeSpan(span: ReadableSpan, redactor: Redactor): ReadableSpan {
  const attributes = (of: Attributes | undefined): Attributes => safeAttributes(of ?? {}, redactor);
  const { message } = span.status;
  return {
    name: redactor.text(span.name),
    kind: span.kind,
    spanContext: () => span.spanContext(),
    ...(span.parentSpanContext === undefined ? {} : { parentSpanContext: span.parentSpanContext }),
    startTime: span.startTime,
    endTime: span.endTime,
    status: message === undefined ? span.status : { code: span.status.code, message: redactor.text(message) },
    attributes: attributes(span.attributes),
    links: span.links.map((link) => ({ ...link, attributes: attributes(link.attributes) })),
    events: span.events.map((event) => ({
      ...event,
      name: redactor.text(event.name),
      attributes: attributes(event.attributes),
    })),
    duration: span.duration,
    ended: span.ended,
    resource: span.resource,
    instrumentationScope: span.instrumentationScope,
    droppedAttributesCount: span.droppedAttributesCount,
    droppedEventsCount: span.droppedEventsCount,
    droppedLinksCount: span.droppedLinksCount,
  };
}

function safeAttributes(attributes: Attributes, redactor: Redactor): Attributes {
  const safe: Attributes = {};
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined) safe[redactor.text(key)] = isSecretKey(key) ? redacted : safeValue(value, redactor);
  }
  return safe;
}

function safeValue(value: AttributeValue, redactor: Redactor): AttributeValue {
  if (typeof value === "string") return redactor.text(value);
  if (typeof value === "number") return isCardNumber(value) ? cardPlaceholder : value;
  if (!Array.isArray(value)) return value;
  return value.map((item) => {
    if (typeof item === "string") return redactor.text(item);
    return typeof item === "number" && isCardNumber(item) ? cardPlaceholder : String(item);
  });
}
