import { create, createFileRegistry, type DescMessage, type Message, setExtension } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import {
  FieldOptionsSchema,
  FileDescriptorProtoSchema,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from "@bufbuild/protobuf/wkt";
import { sensitive } from "@weft/contracts/weft/options/v1";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Secret } from "../config/secret.js";
import { createLogger } from "../logger.js";
import { luhnCompleted } from "../testing/luhn-completed.js";
import { createRedactor, isSecretKey } from "./redactor.js";

const cards = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 12, maxLength: 18 }).map(luhnCompleted);

/** A contract as a payment service might have it: `number` is marked sensitive, `holder` is not; `spare` and `all` hold more of the same. */
function paymentFile() {
  const options = create(FieldOptionsSchema);
  setExtension(options, sensitive, true);
  const file = create(FileDescriptorProtoSchema, {
    name: "test/payment.proto",
    package: "test",
    syntax: "proto3",
    messageType: [
      {
        name: "Card",
        field: [
          { name: "number", number: 1, type: Type.STRING, label: Label.OPTIONAL, options },
          { name: "holder", number: 2, type: Type.STRING, label: Label.OPTIONAL },
          { name: "spare", number: 3, type: Type.MESSAGE, typeName: ".test.Card", label: Label.OPTIONAL },
          { name: "all", number: 4, type: Type.MESSAGE, typeName: ".test.Card", label: Label.REPEATED },
        ],
      },
    ],
  });
  const found = createFileRegistry(file, () => undefined).getFile("test/payment.proto");
  if (found === undefined) throw new Error("no file");
  return found;
}

function cardOf(desc: DescMessage, values: Readonly<Record<string, unknown>>): Message {
  const message = reflect(desc, create(desc));
  for (const field of desc.fields) {
    const value = values[field.name];
    if (typeof value === "string" && field.fieldKind === "scalar") message.set(field, value);
    if (field.name === "spare" && values["spare"] !== undefined)
      message.set(field, reflect(desc, cardOf(desc, { number: values["spare"] })));
  }
  return message.message;
}

const file = paymentFile();
const cardDesc = file.messages[0];
if (cardDesc === undefined) throw new Error("no message");

test("sensitive fields of messages are not shown, at any depth, the others are", () => {
  const redactor = createRedactor();
  redactor.learn(file);
  const card = cardOf(cardDesc, { number: "my-number", holder: "Ada", spare: "other-number" });
  expect(redactor.value({ request: { card } })).toEqual({
    request: { card: { number: "[redacted]", holder: "Ada", spare: { number: "[redacted]" } } },
  });
});

test("a message of a type that nobody taught shows nothing but its name", () => {
  const card = cardOf(cardDesc, { number: "my-number", holder: "Ada" });
  expect(createRedactor().value(card)).toEqual({ $typeName: "test.Card" });
});

test("no log line holds a card number, wherever it was put", () => {
  const lines: string[] = [];
  const redactor = createRedactor();
  redactor.learn(file);
  const logger = createLogger({ level: "debug", write: (line) => lines.push(line), redactor, fields: {} });
  fc.assert(
    fc.property(cards, fc.string(), (card, noise) => {
      lines.length = 0;
      const text = `${noise}${card}${noise}`;
      logger.info(text, {
        [text]: 1,
        text,
        message: text,
        list: [text, { deep: { deeper: text } }],
        map: new Map([[text, text]]),
        set: new Set([text]),
        url: new URL(`http://h/${card}?q=${card}`),
        error: new Error(text, { cause: new AggregateError([new TypeError(text)], text) }),
        err: new Error(text),
        card: cardOf(cardDesc, { number: card, holder: text }),
        secret: new Secret(text),
      });
      logger.child({ text }).error("constant");
      expect(lines).toHaveLength(2);
      for (const line of lines) {
        JSON.parse(line);
        expect(line).not.toContain(card);
      }
    }),
    { numRuns: 300 },
  );
});

test("a card number as a number is not shown either", () => {
  expect(createRedactor().value({ a: 4_111_111_111_111_111, b: 5_500_000_000_000_004n })).toEqual({
    a: "[card]",
    b: "[card]",
  });
});

test("what stands under a name of a secret is not shown", () => {
  const redactor = createRedactor();
  for (const key of [
    "authorization",
    "Cookie",
    "set-cookie",
    "dbPassword",
    "access_token",
    "apiKey",
    "WEFT_DATA_KEY",
    "client.secret",
  ])
    expect({ key, value: redactor.value({ [key]: "abc" }) }).toEqual({ key, value: { [key]: "[redacted]" } });
  for (const key of ["idempotency_key", "key", "tokens_left", "monkey"]) expect(isSecretKey(key)).toBe(false);
});

test("circular, deep and huge values end", () => {
  const circular: Record<string, unknown> = {};
  circular["self"] = circular;
  let deep: unknown = "end";
  for (let depth = 0; depth < 100; depth++) deep = { deep };
  const redactor = createRedactor();
  expect(redactor.value(circular)).toEqual({ self: "[circular]" });
  expect(JSON.stringify(redactor.value(deep)).length).toBeLessThan(200);
  expect(JSON.stringify(redactor.value(Array.from({ length: 1e5 }, () => 1))).length).toBeLessThan(1_000);
});
