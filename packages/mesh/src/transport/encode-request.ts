import { create, type DescMessage, type DescMethod, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { codecOf } from "@weft/codec";

/** A request as bytes. Throws a ConnectError, INTERNAL as in Connect, for what its type forbids. */
export function encodeRequest<I extends DescMessage>(
  method: DescMethod & { readonly input: I },
  input: MessageInitShape<I>,
): Uint8Array {
  try {
    return codecOf(method.input).encode(create(method.input, input));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const what = `${method.parent.typeName}/${method.name}: the request cannot be written: ${reason}`;
    throw new ConnectError(what, Code.Internal, undefined, undefined, error);
  }
}
