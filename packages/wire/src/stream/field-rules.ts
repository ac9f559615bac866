/** Characters of a field name in HTTP/2: a token without upper case (RFC 9113 §8.2.1). */
const validName = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
/** No NUL, CR or LF, and no white space at either end (RFC 9113 §8.2.1). */
const brokenValue = /[\0\r\n]|^[ \t]|[ \t]$/;
/** Fields of HTTP/1.1 that speak of its connection (RFC 9113 §8.2.2). */
const connectionFields = new Set(["connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"]);

const maxRemembered = 1_024;
const validNames = new Set<string>();

/** Why a regular field makes its message malformed; `undefined` when it does not. */
export function fieldBreach(name: string, value: string): string | undefined {
  if (!validNames.has(name)) {
    if (!validName.test(name)) return "a field name that is not one";
    if (connectionFields.has(name)) return "a field that belongs to HTTP/1.1";
    if (validNames.size >= maxRemembered) validNames.clear();
    validNames.add(name);
  }
  if (brokenValue.test(value)) return "a field value that is not one";
  if (name === "te" && value !== "trailers") return "a TE other than trailers";
  return undefined;
}
