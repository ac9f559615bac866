import { endianness } from "node:os";

// One place of 8 bytes seen as each type of number. Only the halves of a 64-bit number depend on the machine's byte order.
const place = new ArrayBuffer(8);
export const scratchBytes = new Uint8Array(place);
export const scratchInt32 = new Int32Array(place);
export const scratchFloat32 = new Float32Array(place);
export const scratchFloat64 = new Float64Array(place);
export const scratchInt64 = new BigInt64Array(place);
export const scratchUint64 = new BigUint64Array(place);

/** Whether this machine keeps numbers as protobuf does; on one that doesn't, protobuf-es does the work. */
export const littleEndian = endianness() === "LE";
