import { StringValueSchema } from "@bufbuild/protobuf/wkt";
import {
  type Context,
  type ContextManager,
  context,
  createTraceState,
  ROOT_CONTEXT,
  type Span,
  trace,
} from "@opentelemetry/api";
import { eventually } from "@weft/foundation/testing";
import { afterAll, expect, test } from "vitest";
import { saga } from "../definition/saga.js";
import { quick, startSagaHome } from "../testing/fixtures/saga-home.js";
import { keepTrace, parseTrace, traceIdOf } from "./trace-context.js";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const spanId = "b7ad6b7169203331";
const order = trace.setSpanContext(ROOT_CONTEXT, {
  traceId,
  spanId,
  traceFlags: 1,
  traceState: createTraceState("a=b"),
});

test("a trace context survives its row", () => {
  const kept = keepTrace(order);
  expect(kept).toEqual({ traceParent: `00-${traceId}-${spanId}-01`, traceState: "a=b" });
  expect(trace.getSpanContext(parseTrace(kept))).toMatchObject({ traceId, spanId, traceFlags: 1, isRemote: true });
  expect(traceIdOf(kept.traceParent)).toBe(traceId);
  expect(keepTrace(ROOT_CONTEXT)).toEqual({ traceParent: undefined, traceState: undefined });
  expect(parseTrace({ traceParent: "nonsense", traceState: undefined })).toBe(ROOT_CONTEXT);
});

/** The smallest context manager that follows no asynchronous call: enough to say in which trace a saga is started. */
class FixedContext implements ContextManager {
  current: Context = ROOT_CONTEXT;
  active(): Context {
    return this.current;
  }
  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    _context: Context,
    fn: F,
    thisArg?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return fn.call(thisArg, ...args);
  }
  bind<T>(_context: Context, target: T): T {
    return target;
  }
  enable(): this {
    return this;
  }
  disable(): this {
    return this;
  }
}

afterAll(() => context.disable());

test("a saga that another worker resumes stays in the trace of the call that started it", async () => {
  const active = new FixedContext();
  context.setGlobalContextManager(active);
  await using home = await startSagaHome();
  const traces: string[] = [];
  const tracer = {
    startSpan(name: string, _options: unknown, parent: Context = ROOT_CONTEXT): Span {
      traces.push(`${name} ${trace.getSpanContext(parent)?.traceId}`);
      return trace.wrapSpanContext({ traceId, spanId, traceFlags: 1 });
    },
    startActiveSpan: () => {
      throw new Error("not used");
    },
  };
  const definition = saga("traced", { version: 1, input: StringValueSchema })
    .step("first", { run: async () => {}, policy: quick })
    .sleep("nap", 300)
    .step("second", { run: async () => {}, policy: quick });
  const one = home.work({ definitions: [definition], tracer });
  active.current = order;
  await one.sagas.start(definition, { id: "traced-1", input: {} });
  active.current = ROOT_CONTEXT;
  await eventually(async () => (await one.sagas.query(definition, "traced-1"))?.step === "nap", { ceilingMs: 10_000 });
  await one.end();
  const two = home.work({ definitions: [definition], tracer });
  await two.sagas.outcome(definition, "traced-1");
  expect(traces).toEqual([`saga traced/first ${traceId}`, `saga traced/second ${traceId}`]);
});
