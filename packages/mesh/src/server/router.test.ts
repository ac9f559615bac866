import { create } from "@bufbuild/protobuf";
import { createHandlerContext } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { collectRoutes } from "./router.js";
import { KindsService } from "./testing/kinds-service.js";

const { one } = KindsService.method;

describe("routes", () => {
  test("are the paths of every method of a service, with a handler or without", () => {
    const { methods, services } = collectRoutes((router) => router.service(KindsService, { one: () => ({}) }));
    expect([...methods.keys()]).toEqual(
      ["One", "Many", "Collect", "Talk"].map((name) => `/weft.test.v1.KindsService/${name}`),
    );
    expect(services).toEqual([KindsService]);
  });

  test("of single methods name their service once", () => {
    const { services } = collectRoutes((router) =>
      router.rpc(one, () => ({})).rpc(KindsService.method.talk, (requests) => requests),
    );
    expect(services).toEqual([KindsService]);
  });

  test("refuse options, which belong to Connect's own server, instead of ignoring them", () => {
    expect(() => collectRoutes((router) => router.service(KindsService, {}, { maxTimeoutMs: 1 }))).toThrow(/options/);
  });

  test("keep `this` of a handler object", async () => {
    class Handlers {
      readonly #greeting = "hi";
      one() {
        return { value: this.#greeting };
      }
    }
    const { methods } = collectRoutes((router) => router.service(KindsService, new Handlers()));
    const spec = methods.get("/weft.test.v1.KindsService/One");
    if (spec?.kind !== "unary") throw new Error("not a unary method");
    const init = { service: KindsService, method: one, protocolName: "grpc", requestMethod: "POST", url: "http://a/b" };
    expect(await spec.impl(create(one.input), createHandlerContext(init))).toEqual({ value: "hi" });
  });
});
