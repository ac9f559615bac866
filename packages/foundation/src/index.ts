export { type Backoff, type BackoffPolicy, connectionBackoff, createBackoff } from "./backoff.js";
export { type Brand, brandMaker } from "./brand.js";
export { type Clock, sleep, systemClock, type Timer } from "./clock.js";
export {
  type Deadline,
  DeadlineExceeded,
  deadlineIn,
  type JoinedSignal,
  joinSignals,
  remainingMs,
  soonerOf,
} from "./deadline.js";
export { type LogFields, type Logger, silentLogger } from "./logger.js";
export { type Parsed, parsed, refused } from "./parsed.js";
export { Scope } from "./scope.js";
export { type Watch, WatchSource } from "./watch.js";
export { whenAborted } from "./when-aborted.js";
