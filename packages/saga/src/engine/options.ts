import type { Meter, Tracer } from "@opentelemetry/api";
import type { Clock, Logger } from "@weft/foundation";
import type { Database, Notifications } from "@weft/store";
import type { SagaDefinition } from "../definition/saga.js";

export interface SagasOptions {
  /** A database with `sagaMigration`. */
  readonly database: Database;
  /** Each version that this program can carry out: the current ones, and old ones until they are drained. */
  readonly definitions: readonly SagaDefinition[];
  /** Wake-ups on the channel `sagaChannel`. Without them other processes are noticed within `pollMs`. */
  readonly notifications?: Notifications;
  readonly logger?: Logger;
  readonly clock?: Clock;
  readonly random?: () => number;
  /** How long a worker may be silent before another takes its sagas. Default 3 s; it is renewed three times as often. */
  readonly leaseMs?: number;
  /** How often to look for work that nobody told of. Default 1 s. */
  readonly pollMs?: number;
  /** How many sagas this process carries out at the same time. Default 200. */
  readonly mostRunning?: number;
  /** How long steps under way may take when {@link Sagas.work} ends. Default 5 s. */
  readonly drainMs?: number;
  /** How long ended sagas are kept. Default 30 days. */
  readonly keepEndedMs?: number;
  /** How often what is open is counted, alarms are looked up and what is old is removed. Default 15 s. */
  readonly observeMs?: number;
  /** How often one saga may be found left behind by a worker that died, without any progress in between, before it is parked. Default 5. */
  readonly mostTakeovers?: number;
  /** Takes out of an error's message what must not be kept or shown, such as card numbers. */
  readonly redact?: (text: string) => string;
  /** `clock` goes by the given clock in SQL too, for tests. Default `database`. */
  readonly time?: "database" | "clock";
  readonly tracer?: Tracer;
  readonly meter?: Meter;
}
