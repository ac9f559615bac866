import { connect } from "node:http2";
import { createServer } from "node:net";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HpackDecoder, HpackError } from "./decoder.js";
import { HpackEncoder, maxUpdateBytes } from "./encoder.js";
import type { FieldSection } from "./field-section.js";
import { HeaderTemplate, maxFieldBytes } from "./header-template.js";
import { decodedHuffmanBound, decodeHuffman, encodeHuffman, huffmanLength } from "./huffman.js";

type Field = readonly [name: string, value: string];

function decoderOf(maxTableBytes = 4_096, maxListBytes = 64 * 1024): HpackDecoder {
  return new HpackDecoder({ maxTableBytes, maxListBytes });
}

function decode(decoder: HpackDecoder, block: Buffer): FieldSection {
  return decoder.decode(block, 0, block.length);
}

function encode(encoder: HpackEncoder, fields: readonly Field[], template?: HeaderTemplate): Buffer {
  const bound = fields.reduce((sum, [name, value]) => sum + maxFieldBytes(name, value), maxUpdateBytes);
  const into = Buffer.alloc(bound + (template?.maxBytes ?? 0));
  let at = encoder.begin(into, 0);
  if (template !== undefined) at = encoder.template(into, at, template);
  for (const [name, value] of fields) at = encoder.field(into, at, name, value);
  return into.subarray(0, at);
}

describe("the examples of RFC 7541 Appendix C decode", () => {
  const request1: Field[] = [
    [":method", "GET"],
    [":scheme", "http"],
    [":path", "/"],
    [":authority", "www.example.com"],
  ];
  const request2: Field[] = [...request1, ["cache-control", "no-cache"]];
  const request3: Field[] = [
    [":method", "GET"],
    [":scheme", "https"],
    [":path", "/index.html"],
    [":authority", "www.example.com"],
    ["custom-key", "custom-value"],
  ];
  const date1 = "Mon, 21 Oct 2013 20:13:21 GMT";
  const date2 = "Mon, 21 Oct 2013 20:13:22 GMT";
  const response = (status: string, date: string): Field[] => [
    [":status", status],
    ["cache-control", "private"],
    ["date", date],
    ["location", "https://www.example.com"],
  ];
  const response1 = response("302", date1);
  const response2 = response("307", date1);
  const response3: Field[] = [
    [":status", "200"],
    ["cache-control", "private"],
    ["date", date2],
    ["location", "https://www.example.com"],
    ["content-encoding", "gzip"],
    ["set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"],
  ];
  test.each<[string, number, [string, Field[]][]]>([
    ["C.2.1", 4_096, [["400a637573746f6d2d6b65790d637573746f6d2d686561646572", [["custom-key", "custom-header"]]]]],
    ["C.2.2", 4_096, [["040c2f73616d706c652f70617468", [[":path", "/sample/path"]]]]],
    ["C.2.3", 4_096, [["100870617373776f726406736563726574", [["password", "secret"]]]]],
    ["C.2.4", 4_096, [["82", [[":method", "GET"]]]]],
    [
      "C.3",
      4_096,
      [
        ["828684410f7777772e6578616d706c652e636f6d", request1],
        ["828684be58086e6f2d6361636865", request2],
        ["828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565", request3],
      ],
    ],
    [
      "C.4",
      4_096,
      [
        ["828684418cf1e3c2e5f23a6ba0ab90f4ff", request1],
        ["828684be5886a8eb10649cbf", request2],
        ["828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf", request3],
      ],
    ],
    [
      "C.6",
      256,
      [
        [
          "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
          response1,
        ],
        ["4883640effc1c0bf", response2],
        [
          "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
          response3,
        ],
      ],
    ],
  ])("%s", (_name, tableBytes, blocks) => {
    const decoder = decoderOf(tableBytes);
    for (const [hex, fields] of blocks) expect([...decode(decoder, Buffer.from(hex, "hex"))]).toEqual(fields);
  });
});

describe("Huffman code", () => {
  const latin1 = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes).toString("latin1"));

  test("any text comes back", () => {
    fc.assert(
      fc.property(latin1, (text) => {
        const coded = Buffer.alloc(huffmanLength(text));
        expect(encodeHuffman(text, coded, 0)).toBe(coded.length);
        const decoded = Buffer.alloc(decodedHuffmanBound(coded.length));
        expect(decodeHuffman(coded, 0, coded.length, decoded)).toBe(text.length);
        expect(decoded.toString("latin1", 0, text.length)).toBe(text);
      }),
    );
  });

  test.each([
    ["EOS within a text", "ffffffff"],
    ["padding of eight bits", "1fff"],
    ["padding that is not of ones", "18"],
  ])("%s is refused", (_name, hex) => {
    const coded = Buffer.from(hex, "hex");
    expect(decodeHuffman(coded, 0, coded.length, Buffer.alloc(64))).toBe(-1);
  });
});

describe("encoder and decoder", () => {
  const names = ["x-a", "x-b", "traceparent", "authorization", ":path", "content-type", "grpc-timeout", "cookie"];
  const field = fc.tuple(
    fc.constantFrom(...names),
    fc.oneof(fc.constantFrom("", "1", "two", "three"), fc.string({ unit: "binary-ascii" })),
  );
  const block = fc.array(field, { maxLength: 12 });

  test("agree on any blocks in a row, whatever table size the peer asks for in between", () => {
    const step = fc.oneof(block, fc.integer({ min: 0, max: 8_192 }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const encoder = new HpackEncoder();
        const decoder = decoderOf(8_192);
        const template = new HeaderTemplate([
          { name: ":path", value: "/a.B/C" },
          { name: "te", value: "trailers" },
        ]);
        for (const next of steps) {
          if (typeof next === "number") {
            encoder.setPeerTableBytes(next);
            continue;
          }
          const fields = [...decode(decoder, encode(encoder, next, template))];
          expect(fields).toEqual([[":path", "/a.B/C"], ["te", "trailers"], ...next]);
        }
      }),
    );
  });

  test("a method's requests cost a byte a field once both sides know them", () => {
    const encoder = new HpackEncoder();
    const template = new HeaderTemplate(
      [
        [":method", "POST"],
        [":scheme", "http"],
        [":path", "/shop.orders.v1.OrderService/PlaceOrder"],
        [":authority", "orders.shop:8080"],
        ["te", "trailers"],
        ["content-type", "application/grpc"],
      ].map(([name = "", value = ""]) => ({ name, value })),
    );
    encode(encoder, [], template);
    expect(encode(encoder, [], template)).toHaveLength(6);
    expect(encode(encoder, [["grpc-timeout", "5000m"]], template).length).toBeGreaterThan(12);
    expect(encode(encoder, [["grpc-timeout", "4999m"]], template)).toHaveLength(6 + 2 + 6);
  });

  test("secrets are never indexed", () => {
    const encoder = new HpackEncoder();
    for (let i = 0; i < 3; i += 1) {
      const coded = encode(encoder, [["authorization", "Bearer abc"]]);
      expect((coded[0] ?? 0) & 0xf0).toBe(0x10);
    }
  });

  test("many methods in turn do not drive each other out of the table", () => {
    const encoder = new HpackEncoder();
    const decoder = decoderOf();
    const templates = Array.from(
      { length: 200 },
      (_, i) => new HeaderTemplate([{ name: ":path", value: `/package.Service/Method${i}` }]),
    );
    let indexed = 0;
    for (let round = 0; round < 5; round += 1) {
      for (const template of templates) {
        const coded = encode(encoder, [], template);
        decode(decoder, coded);
        if (round === 4 && coded.length <= 2) indexed += 1;
      }
    }
    expect(indexed).toBeGreaterThan(40);
  });

  test("what Node's encoder makes of any byte is understood", async () => {
    const values = Array.from({ length: 222 }, (_, i) => String.fromCharCode(i < 95 ? 32 + i : 34 + i)).filter(
      (value) => value !== " ",
    );
    const fields = values.map((value, i): Field => [`x-${i}`, `a${value.repeat(3)}a`]);
    const received = await blockOfNode(Object.fromEntries(fields));
    const section = decode(decoderOf(), received);
    expect([...section].filter(([name]) => name.startsWith("x-"))).toEqual(fields);
  });

  test("fields beyond the limit are counted and left out, and the table stays right", () => {
    const encoder = new HpackEncoder();
    const decoder = decoderOf(4_096, 1_000);
    const big = decode(
      decoder,
      encode(encoder, [
        ["x-big", "b".repeat(900)],
        ["x-more", "m".repeat(500)],
        ["x-s", "1"],
      ]),
    );
    expect(big.tooLarge).toBe(true);
    expect(big.bytes).toBeGreaterThan(1_400);
    expect(
      [
        ...decode(
          decoder,
          encode(encoder, [
            ["x-s", "1"],
            ["x-more", "m".repeat(500)],
          ]),
        ),
      ].map(([name]) => name),
    ).toEqual(["x-s", "x-more"]);
  });

  test.each([
    ["an index in no table", "be"],
    ["index 0", "80"],
    ["an integer without end", "ffffffffffffffffffff"],
    ["a text longer than its block", "400aff"],
    ["a size update beyond the limit", "3fe2ff03"],
    ["a size update within a block", "8220"],
    ["a block that ends within a field", "4003666f6f"],
  ])("%s is refused", (_name, hex) => {
    const bytes = Buffer.from(hex, "hex");
    expect(() => decode(decoderOf(), bytes)).toThrow(HpackError);
  });

  test("random bytes give fields or an HpackError, nothing else", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 8 }), (blocks) => {
        const decoder = decoderOf();
        try {
          for (const bytes of blocks) decode(decoder, Buffer.from(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(HpackError);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

/** The header block of a request with these fields, as Node's client sends it. */
async function blockOfNode(fields: Record<string, string>): Promise<Buffer> {
  const parts: Buffer[] = [];
  return await new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.on("data", (chunk) => {
        parts.push(chunk);
        const all = Buffer.concat(parts);
        for (let at = 24; at + 9 <= all.length; ) {
          const length = all.readUIntBE(at, 3);
          if (at + 9 + length > all.length) return;
          if (all[at + 3] === 1 && ((all[at + 4] ?? 0) & 4) !== 0) {
            const start = at + 9 + (((all[at + 4] ?? 0) & 0x20) === 0 ? 0 : 5);
            resolve(all.subarray(start, at + 9 + length));
            socket.destroy();
            server.close();
            return;
          }
          at += 9 + length;
        }
      });
    });
    server.on("error", reject);
    server.listen(0, "127.0.0.1");
    server.on("listening", () => {
      const address = server.address();
      if (address === null || typeof address === "string") return;
      const client = connect(`http://127.0.0.1:${address.port}`);
      client.on("error", () => {});
      const stream = client.request(fields);
      stream.on("error", () => {});
    });
  });
}
