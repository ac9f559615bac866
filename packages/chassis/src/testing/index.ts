export { type HandlerSupport, withCallContext } from "../handlers.js";
export { createFakeHost, type FakeHost } from "./fake-host.js";
export { luhnCompleted } from "./luhn-completed.js";
export { type RunningService, type StartOptions, startService } from "./start-service.js";
