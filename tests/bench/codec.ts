import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { StringValueSchema, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { codecOf, GrowingBuffer } from "@weft/codec";
import { OrderSchema, OrderState, PlaceOrderRequestSchema } from "@weft/contracts/shop/orders/v1";
import { EchoRequestSchema } from "@weft/contracts/weft/bench/v1";
import type { Row } from "./mesh.js";
import { median } from "./statistics.js";

const rounds = 7;
const roundMs = 60;

/** Messages through the codec beside protobuf-es: same process, alternating, medians. */
export async function benchCodec(): Promise<Row[]> {
  const price = (minorUnits: bigint) => ({ minorUnits, currency: "EUR" });
  const order = create(OrderSchema, {
    orderId: "0f5cb5d6-6a62-4f5c-9d3e-1a2b3c4d5e6f",
    state: OrderState.CONFIRMED,
    lines: ["Tea, green, 250 g", "Cup, blue"].map((name, index) => ({
      productId: `product-${index}`,
      name,
      quantity: index + 1,
      unitPrice: price(1290n),
      totalPrice: price(1290n * BigInt(index + 1)),
    })),
    reservationId: "6b1f0c9e-54b7-4f7e-8b43-b1d7b7a0c001",
    version: 7n,
    totalPrice: price(3870n),
    createTime: timestampFromMs(1_780_000_000_000),
    updateTime: timestampFromMs(1_780_000_001_500),
  });
  const placeOrder = create(PlaceOrderRequestSchema, { idempotencyKey: "9d0c1f5e-0e0d-4b8a-a7a6-3f1f5f6a7b8c" });
  return [
    ...measure("echo-64B", EchoRequestSchema, create(EchoRequestSchema, { payload: new Uint8Array(64).fill(7) })),
    ...measure("place-order", PlaceOrderRequestSchema, placeOrder),
    ...measure("order", OrderSchema, order),
    ...measure("bytes-64KiB", EchoRequestSchema, create(EchoRequestSchema, { payload: new Uint8Array(65_536) })),
    ...measure("bytes-1MiB", EchoRequestSchema, create(EchoRequestSchema, { payload: new Uint8Array(1_048_576) })),
    ...measure("text-64KiB", StringValueSchema, create(StringValueSchema, { value: "weft".repeat(16_384) })),
    ...measure("text-1MiB", StringValueSchema, create(StringValueSchema, { value: "weft".repeat(262_144) })),
  ];
}

function measure<Desc extends DescMessage>(work: string, schema: Desc, message: MessageShape<Desc>): Row[] {
  const codec = codecOf(schema);
  const bytes = toBinary(schema, message);
  const buffer = new GrowingBuffer(2 * bytes.length + 64);
  const encode = alternate({
    ours: () => {
      // As a transport does: behind the room for its headers.
      buffer.position = 14;
      codec.encodeInto(message, buffer);
    },
    apart: () => codec.encode(message),
    peer: () => toBinary(schema, message),
  });
  const decode = alternate({
    // As a transport's receiver does, which owns the bytes; protobuf-es's fields are views of them in any case.
    ours: () => codec.decodeOwned(bytes),
    apart: () => codec.decode(bytes),
    peer: () => fromBinary(schema, bytes),
  });
  return [
    row(`codec-encode-${work}`, encode, "into a send buffer", "into bytes of its own", bytes.length),
    row(`codec-decode-${work}`, decode, "of bytes handed over", "with all bytes copied", bytes.length),
  ];
}

interface Times {
  readonly ours: number;
  readonly apart: number;
  readonly peer: number;
}

function row(work: string, nanos: Times, what: string, apart: string, size: number): Row {
  const perSecond = (ns: number) => 1e9 / ns;
  return {
    work,
    ours: perSecond(nanos.ours),
    peers: { "protobuf-es": perSecond(nanos.peer) },
    ratio: nanos.peer / nanos.ours,
    unit: "messages/s",
    detail: `${size} B; ${what} ${micros(nanos.ours)}, ${apart} ${micros(nanos.apart)}, protobuf-es ${micros(nanos.peer)}`,
  };
}

function micros(nanos: number): string {
  return `${(nanos / 1000).toFixed(2)} µs`;
}

/** Nanoseconds each way takes, each measured in turns with the others. */
function alternate(ways: Readonly<Record<keyof Times, () => unknown>>): Times {
  const all = { ours: [], apart: [], peer: [] } as Record<keyof Times, number[]>;
  for (let round = -1; round < rounds; round += 1) {
    for (const name of ["ours", "apart", "peer"] as const) {
      const nanos = timeOf(ways[name]);
      // The first round is for the compiler.
      if (round >= 0) all[name].push(nanos);
    }
  }
  return { ours: median(all.ours), apart: median(all.apart), peer: median(all.peer) };
}

function timeOf(run: () => unknown): number {
  const start = process.hrtime.bigint();
  const until = start + BigInt(roundMs) * 1_000_000n;
  let count = 0;
  let now = start;
  while (now < until) {
    for (let i = 0; i < 32; i += 1) run();
    count += 32;
    now = process.hrtime.bigint();
  }
  return Number(now - start) / count;
}
