import { create } from "@bufbuild/protobuf";
import { EchoEachResponseSchema, EchoResponseSchema, EchoService } from "@weft/contracts/weft/bench/v1";
import type { Transport } from "@weft/wire";
import type { MeshServer } from "../server/mesh-server.js";
import { serve } from "../server/serve.js";

/** Bytes of a text. */
export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** The text of bytes. */
export function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** A server that answers each unary call with its own name, after `delayMs`, and each message of a stream with itself. */
export function startEcho(
  transport: Transport,
  name: string,
  options: { readonly port?: number; readonly delayMs?: number } = {},
): Promise<MeshServer> {
  return serve(
    (router) =>
      router.service(EchoService, {
        async echo() {
          if (options.delayMs !== undefined) await new Promise((resolve) => setTimeout(resolve, options.delayMs));
          return create(EchoResponseSchema, { payload: bytesOf(name) });
        },
        async *echoEach(requests) {
          for await (const { payload } of requests) yield create(EchoEachResponseSchema, { payload });
        },
      }),
    { transport, host: "127.0.0.1", port: options.port ?? 0 },
  );
}
