/** A call of the Connect protocol with JSON, as every HTTP client can make it. */
export interface ConnectCall {
  /** `http://127.0.0.1:8080`. */
  readonly origin: string;
  /** `shop.orders.v1.OrderService/PlaceOrder`. */
  readonly method: string;
  readonly message: unknown;
  readonly signal: AbortSignal;
}

export interface ConnectAnswer {
  readonly message: unknown;
  readonly headers: Headers;
}

const endStreamFlag = 0x02;

/** A unary call. Throws with the server's own code and message when it refuses. */
export async function callUnary(call: ConnectCall): Promise<ConnectAnswer> {
  const response = await fetch(`${call.origin}/${call.method}`, {
    method: "POST",
    headers: { "content-type": "application/json", "connect-protocol-version": "1" },
    body: JSON.stringify(call.message),
    signal: call.signal,
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${call.method}: ${explain(text) ?? `HTTP ${response.status}`}`);
  return { message: JSON.parse(text), headers: response.headers };
}

/** A server stream, read to its end: each message is enveloped by a flag byte and a length (Connect protocol, "Streaming RPCs"). */
export async function callServerStream(call: ConnectCall): Promise<readonly unknown[]> {
  const response = await fetch(`${call.origin}/${call.method}`, {
    method: "POST",
    headers: { "content-type": "application/connect+json", "connect-protocol-version": "1" },
    body: envelope(call.message),
    signal: call.signal,
  });
  const bytes = Buffer.from(await response.arrayBuffer());
  if (!response.ok) throw new Error(`${call.method}: ${explain(bytes.toString("utf8")) ?? `HTTP ${response.status}`}`);
  const messages: unknown[] = [];
  for (let at = 0; at + 5 <= bytes.length; ) {
    const flags = bytes.readUInt8(at);
    const end = at + 5 + bytes.readUInt32BE(at + 1);
    const text = bytes.toString("utf8", at + 5, end);
    if ((flags & endStreamFlag) === 0) messages.push(JSON.parse(text));
    else {
      const refusal = explain(text);
      if (refusal !== undefined) throw new Error(`${call.method}: ${refusal}`);
    }
    at = end;
  }
  return messages;
}

function envelope(message: unknown): Uint8Array<ArrayBuffer> {
  const body = Buffer.from(JSON.stringify(message));
  const framed = new Uint8Array(5 + body.length);
  new DataView(framed.buffer).setUint32(1, body.length);
  framed.set(body, 5);
  return framed;
}

/** `unavailable: no replica is ready`, out of an error body or the end of a stream. */
function explain(text: string): string | undefined {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof body !== "object" || body === null) return undefined;
  const error: unknown = "error" in body ? body.error : body;
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return `${String(error.code)}: ${"message" in error ? String(error.message) : ""}`;
}
