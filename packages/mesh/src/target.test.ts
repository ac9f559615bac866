import { expect, test } from "vitest";
import { parseTarget } from "./target.js";

const keyOf = (text: string): string => {
  const result = parseTarget(text, "shop");
  return result.ok ? result.value.key : result.error;
};

test("a Service is named with or without namespace and port", () => {
  expect(keyOf("orders")).toBe("orders.shop");
  expect(keyOf("orders.billing")).toBe("orders.billing");
  expect(keyOf("orders:9000")).toBe("orders.shop:9000");
  expect(keyOf("trace-store.weft:4318")).toBe("trace-store.weft:4318");
});

test("a host outside is named by DNS, in the clear only on this machine", () => {
  expect(parseTarget("dns:///api.example.com:443", "shop")).toEqual({
    ok: true,
    value: { t: "dns", key: "dns:///api.example.com:443", host: "api.example.com", port: 443, plaintext: false },
  });
  expect(parseTarget("dns:///127.0.0.1:80", "shop")).toMatchObject({ value: { plaintext: true } });
  expect(parseTarget("dns:///[::1]:80", "shop")).toMatchObject({ value: { host: "::1", plaintext: true } });
  expect(parseTarget("dns:///127.example.com:80", "shop")).toMatchObject({ value: { plaintext: false } });
});

test("anything else is refused and quoted", () => {
  for (const text of [
    "",
    "Orders",
    "orders.shop.svc.cluster.local",
    "orders:0",
    "orders:99999",
    "http://orders",
    "dns:///x",
    "dns://x:1",
    "a b",
  ]) {
    const result = parseTarget(text, "shop");
    expect(result.ok).toBe(false);
    if (!result.ok) expect(result.error).toContain(JSON.stringify(text));
  }
});
