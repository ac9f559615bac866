export { type Codec, codecOf } from "./codec.js";
