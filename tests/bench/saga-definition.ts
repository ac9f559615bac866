import { StringValueSchema } from "@bufbuild/protobuf/wkt";
import { saga } from "@weft/saga";

/** What each step of the bench gives: the same bytes for whoever is measured. */
export const stepResult = "done-0123456789abcdef";

/**
 * Whether a step of a saga that is to be interrupted never answers: a third of the sagas stop in each step. The input is the saga's
 * number then, and no number otherwise.
 */
export function stopsIn(step: number, input: string): boolean {
  return input !== "" && Number(input) % 3 === step;
}

/** A promise that never settles; the one that waits for it is killed. */
export function forever(onStop: () => void): Promise<never> {
  onStop();
  return new Promise(() => {});
}

/** Three steps, of which the second is the pivot, with participants in the process. `onStop` is told of each step that hangs. */
export function threeSteps(onStop: (() => void) | undefined) {
  const answer = async (step: number, input: string): Promise<{ value: string }> => {
    if (onStop !== undefined && stopsIn(step, input)) await forever(onStop);
    return { value: stepResult };
  };
  const policy = { timeoutMs: 60_000 };
  return saga("bench", { version: 1, input: StringValueSchema })
    .step("first", {
      result: StringValueSchema,
      run: ({ input }) => answer(0, input.value),
      compensate: async () => {},
      policy,
    })
    .pivot("second", { result: StringValueSchema, run: ({ input }) => answer(1, input.value), policy })
    .step("third", { result: StringValueSchema, run: ({ input }) => answer(2, input.value), policy });
}
