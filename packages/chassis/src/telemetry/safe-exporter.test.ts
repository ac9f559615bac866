import { SpanStatusCode } from "@opentelemetry/api";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
  type SpanExporter,
} from "@opentelemetry/sdk-trace-base";
import type { LogFields, Logger } from "@weft/foundation";
import { silentLogger } from "@weft/foundation";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createRedactor } from "../redaction/redactor.js";
import { luhnCompleted } from "../testing/luhn-completed.js";
import { safeExporter } from "./safe-exporter.js";

const cards = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 12, maxLength: 18 }).map(luhnCompleted);

test("no card number leaves in a span: not in its name, attributes, events, links or status", () => {
  const memory = new InMemorySpanExporter();
  const exporter = safeExporter(memory, { redactor: createRedactor(), logger: silentLogger });
  const tracer = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).getTracer("test");
  fc.assert(
    fc.property(cards, fc.string(), (card, noise) => {
      memory.reset();
      const text = `${noise}${card}`;
      const link = { context: tracer.startSpan("other").spanContext(), attributes: { text } };
      const span = tracer.startSpan(text, {
        attributes: { text, [text]: 1, list: [text, "b"], "http.cookie": "x" },
        links: [link],
      });
      span.addEvent(text, { text });
      span.recordException(new Error(text));
      span.setStatus({ code: SpanStatusCode.ERROR, message: text });
      span.end();
      const [sent] = memory.getFinishedSpans();
      expect(JSON.stringify(shown(sent))).not.toContain(card);
      expect(sent?.attributes["http.cookie"]).toBe("[redacted]");
      expect(sent?.spanContext()).toEqual(span.spanContext());
    }),
    { numRuns: 200 },
  );
});

test("an exporter that fails is reported once, and once when it works again; spans that end meanwhile cost nothing", () => {
  const outcomes = [1, 1, 1, 0, 0, 1];
  const flaky: SpanExporter = {
    export: (_, done) => done({ code: outcomes.shift() ?? 0 }),
    shutdown: async () => {},
  };
  const lines: string[] = [];
  const keep = (message: string, fields?: LogFields): void =>
    void lines.push(`${message} ${JSON.stringify(fields?.["dropped"] ?? "")}`);
  const logger: Logger = { ...silentLogger, warn: keep, info: keep };
  const exporter = safeExporter(flaky, { redactor: createRedactor(), logger });
  const results: number[] = [];
  for (let batch = 0; batch < 6; batch++) exporter.export([], (result) => results.push(result.code));
  expect(results).toEqual([0, 0, 0, 0, 0, 0]);
  expect(lines.map((line) => line.split(":")[0])).toEqual([
    "traces can't be sent",
    "traces are sent again 0",
    "traces can't be sent",
  ]);
});

test("an exporter that throws fails no call", () => {
  const broken: SpanExporter = {
    export() {
      throw new Error("broken");
    },
    shutdown: async () => {},
  };
  let code = -1;
  safeExporter(broken, { redactor: createRedactor(), logger: silentLogger }).export([], (result) => {
    code = result.code;
  });
  expect(code).toBe(0);
});

function shown(span: ReadableSpan | undefined): unknown {
  return [span?.name, span?.attributes, span?.events, span?.links.map((link) => link.attributes), span?.status];
}
