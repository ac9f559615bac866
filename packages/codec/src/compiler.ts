import { create, type DescMessage } from "@bufbuild/protobuf";
import { closureDecoder } from "./closures/decode.js";
import { closureEncoder } from "./closures/encode.js";
import type { Create, Decode, Encode, LocalMessage, MessageType } from "./message-type.js";
import { type MessagePlan, planOf } from "./plan.js";
import { sourceCreator } from "./source/create.js";
import { sourceDecoder } from "./source/decode.js";
import { sourceEncoder } from "./source/encode.js";

/** A way to make the functions of a type from its plan. */
interface Backend {
  readonly creator: (plan: MessagePlan) => Create;
  readonly encoder: (plan: MessagePlan) => Encode;
  readonly decoder: (plan: MessagePlan) => Decode;
}

const backends = {
  /** One function a type, compiled from source written for it. */
  source: { creator: sourceCreator, encoder: sourceEncoder, decoder: sourceDecoder },
  /** One closure a field: slower, and allowed where compiling source is not. */
  closures: { creator: creatorOf, encoder: closureEncoder, decoder: closureDecoder },
} as const satisfies Record<string, Backend>;

export type BackendName = keyof typeof backends;

function creatorOf(plan: MessagePlan): Create {
  return () => fromCreated(create(plan.desc));
}

/** Each message type once; types of fields are linked before they are made, as types may hold themselves. */
export class Compiler {
  readonly #backend: Backend;
  readonly #types = new WeakMap<DescMessage, MessageType>();

  constructor(backend: BackendName) {
    this.#backend = backends[backend];
  }

  /** A type, whose functions are made when they are first called: many are only ever read, or only written. */
  typeOf(desc: DescMessage): MessageType {
    const known = this.#types.get(desc);
    if (known !== undefined) return known;
    const backend = this.#backend;
    let made: MessagePlan | undefined;
    const plan = () => {
      made ??= planOf(desc, (field) => this.typeOf(field));
      return made;
    };
    const type: MessageType = {
      desc,
      create() {
        type.create = backend.creator(plan());
        return type.create();
      },
      encode(m, w, p) {
        type.encode = backend.encoder(plan());
        return type.encode(m, w, p);
      },
      decode(m, b, p, end, depth) {
        type.decode = backend.decoder(plan());
        return type.decode(m, b, p, end, depth);
      },
    };
    this.#types.set(desc, type);
    return type;
  }
}

/** What protobuf-es makes is a message in the sense of this package. */
function fromCreated(message: object): LocalMessage {
  return message as LocalMessage;
}
