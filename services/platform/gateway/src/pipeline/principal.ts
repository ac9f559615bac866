import { Code } from "@connectrpc/connect";
import type { Step } from "./edge-call.js";
import { EdgeRefusal } from "./errors.js";

/** Metadata by which the mesh carries the principal. */
export const userHeader = "weft-user";

/** Until sign-in exists every caller is this user. */
export const demoUser = "demo";

/** Says on whose behalf a call is made. A client that says so itself is refused: it must not believe that it was heard. */
export function principal(user: string = demoUser): Step {
  return (next) =>
    async function* (call) {
      if (call.requestHeader.has(userHeader))
        throw new EdgeRefusal(
          `the header "${userHeader}" is set by the gateway and must not come from outside`,
          Code.InvalidArgument,
        );
      yield* next({ ...call, user });
    };
}
