export { withCallContext } from "../handlers.js";
export { createFakeHost, type FakeHost } from "./fake-host.js";
export { type RunningService, type StartOptions, startService } from "./start-service.js";
