import { type DescMethod, type DescService, getOption } from "@bufbuild/protobuf";
import { Exposure, exposure } from "@weft/contracts/weft/options/v1";

/** Something that the public may ask for, whatever the protocol it is asked in. */
export interface Operation {
  readonly method: DescMethod;
  /** `package.Service/Method`. */
  readonly name: string;
  /** Whether the answer is a stream. */
  readonly streams: boolean;
}

/** The methods whose contract says that they are public. There is no operation for any other. */
export function publicOperations(services: readonly DescService[]): Operation[] {
  return services
    .flatMap((service) => service.methods)
    .filter((method) => getOption(method, exposure) === Exposure.PUBLIC)
    .map((method) => ({
      method,
      name: `${method.parent.typeName}/${method.name}`,
      streams: method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
    }));
}
