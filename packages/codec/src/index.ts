export { type Codec, codecOf, type EncodeOptions } from "./codec.js";
export { GrowingBuffer, type SendBuffer } from "./send-buffer.js";
