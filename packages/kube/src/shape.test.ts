import { expect, test } from "vitest";
import { kinds } from "./kinds/index.js";
import { list, number, object, optional, parseShape, text } from "./shape.js";

const shape = object({ name: text, ports: optional(list(object({ port: number, name: optional(text) }))) });

test("what fits is given back as it is, unknown fields and all", () => {
  const value = { name: "a", ports: [{ port: 1, later: true }], more: { x: 1 } };
  const read = parseShape(shape, value);
  expect(read.ok && read.value).toBe(value);
});

test("null where a field may be absent is absent, and the value that came in is left alone", () => {
  const value = { name: "a", ports: [{ port: 1, name: null }] };
  expect(parseShape(shape, value)).toEqual({ ok: true, value: { name: "a", ports: [{ port: 1 }] } });
  expect(value.ports[0]).toHaveProperty("name");
  expect(parseShape(shape, { name: "a", ports: null })).toEqual({ ok: true, value: { name: "a" } });
});

test("what does not fit is told by its path", () => {
  expect(parseShape(shape, { name: "a", ports: [{ port: 1 }, { port: "http" }] })).toEqual({
    ok: false,
    error: "ports[1].port: expected a number, found string",
  });
  expect(parseShape(shape, [])).toEqual({ ok: false, error: "the object: expected an object, found a list" });
  expect(parseShape(shape, {})).toEqual({ ok: false, error: "name: expected a string, found undefined" });
});

test("an object of another kind or group is refused, of its own kind read", () => {
  const metadata = { name: "a", namespace: "b" };
  expect(kinds.configMap.parse({ apiVersion: "v1", kind: "Secret", metadata })).toMatchObject({ ok: false });
  expect(kinds.deployment.parse({ apiVersion: "v1", kind: "Deployment", metadata, spec: {} })).toMatchObject({
    ok: false,
  });
  const slice = {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata,
    addressType: "IPv4",
    endpoints: null,
  };
  const read = kinds.endpointSlice.parse(slice);
  expect(read.ok && read.value.endpoints).toBeUndefined();
});
