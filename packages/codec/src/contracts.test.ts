import { deepStrictEqual } from "node:assert/strict";
import { type DescFile, type DescMessage, fromBinary, toBinary } from "@bufbuild/protobuf";
import { file_google_protobuf_struct, file_google_protobuf_wrappers } from "@bufbuild/protobuf/wkt";
import * as discovery from "@weft/contracts/envoy/service/discovery/v3";
import * as trace from "@weft/contracts/opentelemetry/proto/collector/trace/v1";
import * as cart from "@weft/contracts/shop/cart/v1";
import * as catalog from "@weft/contracts/shop/catalog/v1";
import * as inventory from "@weft/contracts/shop/inventory/v1";
import * as orders from "@weft/contracts/shop/orders/v1";
import * as payments from "@weft/contracts/shop/payments/v1";
import * as shipping from "@weft/contracts/shop/shipping/v1";
import * as echo from "@weft/contracts/weft/bench/v1";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Codecs } from "./codec.js";
import { needsProtobufEs } from "./protobuf-es.js";
import { messageArbitrary } from "./testing/messages.js";
import { assertSameMessage } from "./testing/same-message.js";

const modules = [discovery, trace, cart, catalog, inventory, orders, payments, shipping, echo];
const files = [file_google_protobuf_struct, file_google_protobuf_wrappers];
const types = [...modules.flatMap((module) => Object.values(module)), ...files].flatMap(messagesOf);

/** The messages of what a module of contracts exports. */
function messagesOf(exported: unknown): readonly DescMessage[] {
  if (typeof exported !== "object" || exported === null || !("kind" in exported)) return [];
  if (exported.kind === "message") return [parseDesc<DescMessage>(exported)];
  return exported.kind === "file" ? parseDesc<DescFile>(exported).messages : [];
}

/** What has a descriptor's kind is one: modules of contracts export nothing else that has. */
function parseDesc<T>(exported: unknown): T {
  return exported as T;
}

describe.each(["source", "closures"] as const)("the contracts' messages, by codecs made of %s", (backend) => {
  const codecs = new Codecs(backend);
  test.each(types.map((type) => [type.typeName, type] as const))(
    "%s has the bytes that protobuf-es writes, and is read as it reads it",
    (_name, type) => {
      expect(needsProtobufEs(type)).toBe(false);
      const codec = codecs.of(type);
      return fc.assert(
        fc.property(messageArbitrary(type), (message) => {
          const bytes = toBinary(type, message);
          deepStrictEqual(codec.encode(message), bytes);
          const read = codec.decode(bytes);
          if (!read.ok) throw new Error(read.error);
          assertSameMessage(type, read.value, fromBinary(type, bytes));
        }),
        { numRuns: 10 },
      );
    },
  );
});
