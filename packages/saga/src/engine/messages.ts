import { create, type DescMessage, type Message, type MessageInitShape, type MessageShape } from "@bufbuild/protobuf";
import { codecOf } from "@weft/codec";
import { stepsOf } from "../definition/node.js";
import type { SagaDefinition } from "../definition/saga.js";
import type { Progress } from "../state/progress.js";

/** The bytes of what a step's function gave. */
export function encodeResult(result: DescMessage | undefined, value: unknown): Uint8Array | undefined {
  if (result === undefined) return undefined;
  return codecOf(result).encode(create(result, fromReturned(result, value)));
}

/** A message as it was kept. Throws when the bytes are none. */
export function decodeMessage<S extends DescMessage>(schema: S, bytes: Uint8Array): MessageShape<S> {
  const read = codecOf(schema).decode(bytes);
  if (!read.ok) throw new TypeError(read.error);
  return read.value;
}

function fromReturned<S extends DescMessage>(_result: S, value: unknown): MessageInitShape<S> {
  return (value ?? {}) as MessageInitShape<S>;
}

/** The results that a saga has so far, by the names of its steps; messages are decoded once. */
export function createResults(definition: SagaDefinition) {
  const schemas = new Map(definition.nodes.flatMap(stepsOf).map((step) => [step.name, step.result]));
  const decoded = new Map<Uint8Array, Message>();
  const resultOf = (progress: Progress, name: string): Message | undefined => {
    const schema = schemas.get(name);
    const bytes = progress.entries.get(name)?.result;
    if (schema === undefined || bytes === undefined) return undefined;
    const known = decoded.get(bytes);
    if (known !== undefined) return known;
    const message = decodeMessage(schema, bytes);
    decoded.set(bytes, message);
    return message;
  };
  return {
    resultOf,
    /** An object with the result of each step that is done; `undefined` for one without a result. */
    all(progress: Progress): Readonly<Record<string, Message | undefined>> {
      const results: Record<string, Message | undefined> = {};
      for (const entry of progress.entries.values()) {
        if (schemas.has(entry.name) && (entry.state === "done" || entry.result !== undefined))
          results[entry.name] = resultOf(progress, entry.name);
      }
      return results;
    },
  };
}

export type Results = ReturnType<typeof createResults>;
