/** What may stand in `grpc-message` as it is: printable ASCII but `%`, with no space at either end (RFC 9113 §8.2.1 forbids that). */
const plain = /^(?:[!-$&-~](?:[ -$&-~]*[!-$&-~])?)?$/;

/** The value of `grpc-message` (gRPC over HTTP/2, "Percent-Encoded"): bytes of UTF-8 outside 0x20–0x7e, and `%`, are escaped. */
export function encodeStatusMessage(message: string): string {
  if (plain.test(message)) return message;
  let encoded = "";
  const bytes = Buffer.from(message);
  for (const [index, byte] of bytes.entries()) {
    const isEdge = index === 0 || index === bytes.length - 1;
    const isPlain = byte > 0x20 && byte < 0x7f && byte !== 0x25;
    if (isPlain || (byte === 0x20 && !isEdge)) encoded += String.fromCharCode(byte);
    else encoded += `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}

/** Never fails: what is not a well-formed escape stays as it is. */
export function decodeStatusMessage(text: string): string {
  if (!text.includes("%")) return text;
  const bytes = Buffer.alloc(text.length);
  let written = 0;
  for (let at = 0; at < text.length; at += 1) {
    const hex = text.charAt(at) === "%" ? text.slice(at + 1, at + 3) : "";
    if (/^[0-9A-Fa-f]{2}$/.test(hex)) {
      bytes[written] = Number.parseInt(hex, 16);
      at += 2;
    } else {
      bytes[written] = text.charCodeAt(at);
    }
    written += 1;
  }
  return bytes.toString("utf8", 0, written);
}
