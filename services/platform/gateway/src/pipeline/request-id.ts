import { randomUUID } from "node:crypto";
import { withoutCardNumbers } from "@weft/chassis";
import type { Step } from "./edge-call.js";

/** Header that names a call; a client may choose the name. */
export const requestIdHeader = "x-request-id";

const acceptable = /^[A-Za-z0-9._-]{1,64}$/;

/** An id stands in logs and headers, so one that could be a card's number is not taken. */
function isDecent(id: string): boolean {
  return acceptable.test(id) && withoutCardNumbers(id) === id;
}

/** Names each call: by the client's own id if it is a decent one, else by a new one. The client is told. */
export function requestId(makeId: () => string = randomUUID): Step {
  return (next) => (call) => {
    const given = call.requestHeader.get(requestIdHeader);
    const id = given !== null && isDecent(given) ? given : makeId();
    call.responseHeader.set(requestIdHeader, id);
    return next({ ...call, requestId: id });
  };
}
