import { randomUUID } from "node:crypto";
import { setMaxListeners } from "node:events";
import {
  create,
  type DescMessage,
  equals,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { context, type Meter, metrics, type Tracer, trace } from "@opentelemetry/api";
import { type Clock, type Logger, Scope, silentLogger, sleep, systemClock, type Watch } from "@weft/foundation";
import { currentCallScope } from "@weft/mesh";
import {
  type CallBounds,
  column,
  type Database,
  type Notifications,
  type Queries,
  type Transaction,
} from "@weft/store";
import type { InputOf, ResultsOf, SagaDefinition } from "../definition/saga.js";
import { phaseOf, type SagaRow } from "../rows/saga-row.js";
import { type Claimed, createSagaRows, type NewSaga, type SagaRows } from "../rows/saga-rows.js";
import { encodeJournal, parseJournal } from "../state/journal.js";
import { afterTakeover, noProgress, type Progress } from "../state/progress.js";
import { createSagaInstruments, type SagaInstruments } from "../telemetry/instruments.js";
import { keepTrace, parseTrace } from "../telemetry/trace-context.js";
import { createBatcher } from "./batcher.js";
import { createLease, type OwnLease } from "./lease.js";
import { createResults } from "./messages.js";
import { Observer } from "./observer.js";
import { planFrom } from "./plan-write.js";
import { type RunStart, type RunSupport, runSaga } from "./run.js";
import type { CancelAnswer, SagaAlarm, SagaOutcome, SagaRequest, Sagas, SagaView } from "./sagas.js";
import { Waiting } from "./waiting.js";
import { Worker } from "./worker.js";

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

/** Makes the sagas of a service. Nothing is carried out until {@link Sagas.work} runs. */
export function createSagas(options: SagasOptions): Sagas {
  return new SagaEngine(options);
}

const longestId = 64;

class SagaEngine implements Sagas {
  readonly #options: SagasOptions;
  readonly #database: Database;
  readonly #rows: SagaRows;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #instruments: SagaInstruments;
  readonly #lease: OwnLease;
  readonly #worker: Worker;
  readonly #support: RunSupport;
  readonly #stopping = new AbortController();
  readonly #stop = new AbortController();
  readonly #running = new Map<string, Promise<void>>();
  readonly #waiting: Waiting;
  readonly #observer: Observer;
  readonly #insert: (saga: NewSaga) => Promise<number | "taken">;
  #working = false;

  constructor(options: SagasOptions) {
    const { database, definitions, clock = systemClock, random = Math.random, logger = silentLogger } = options;
    const { leaseMs = 3_000, pollMs = 1_000, notifications } = options;
    const known = new Set<string>();
    for (const { name, version } of definitions) {
      if (known.has(`${name}/${version}`)) throw new TypeError(`saga "${name}" version ${version} is given twice`);
      known.add(`${name}/${version}`);
    }
    this.#options = options;
    this.#database = database;
    this.#clock = clock;
    this.#logger = logger;
    const time = options.time === "clock" ? (): number => clock.wallMs() : undefined;
    const rows = createSagaRows(database, time);
    this.#rows = rows;
    this.#lease = createLease(randomUUID(), leaseMs, clock);
    this.#instruments = createSagaInstruments(options.meter ?? metrics.getMeter("@weft/saga"));
    this.#observer = new Observer({
      rows,
      clock,
      logger,
      instruments: this.#instruments,
      observeMs: options.observeMs ?? 15_000,
      keepEndedMs: options.keepEndedMs ?? 30 * 24 * 3_600_000,
      isKnown: (version) => this.#definitionOf(version) !== undefined,
    });
    // One for each run that is under way: as many as there are, and each removes itself.
    setMaxListeners(0, this.#stopping.signal, this.#stop.signal);
    this.#support = {
      database,
      rows,
      lease: this.#lease,
      write: createBatcher((writes) => rows.write(this.#lease.worker, writes), { atOnce: 2, mostItems: 100 }),
      clock,
      random,
      logger,
      tracer: options.tracer ?? trace.getTracer("@weft/saga"),
      instruments: this.#instruments,
      redact: options.redact ?? ((text) => text),
      time: () => (time === undefined ? null : new Date(time())),
      stopping: this.#stopping.signal,
      stop: this.#stop.signal,
    };
    this.#insert = createBatcher(
      async (sagas) => {
        // One id twice in one statement would be one row, and both told that it is theirs.
        const recorded = await rows.insert(
          sagas.filter((saga, at) => sagas.findIndex((s) => s.sagaId === saga.sagaId) === at),
        );
        const seen = new Set<string>();
        return sagas.map(({ sagaId }): number | "taken" => {
          if (seen.has(sagaId)) return "taken";
          seen.add(sagaId);
          return recorded.get(sagaId) ?? "taken";
        });
      },
      { atOnce: 2, mostItems: 100 },
    );
    this.#waiting = new Waiting({
      rows,
      notifications,
      clock,
      pollMs,
      definitionOf: (row) => this.#definitionOf(row),
      isRunning: (id) => this.#running.has(id),
    });
    this.#worker = new Worker({
      rows,
      database,
      lease: this.#lease,
      notifications,
      clock,
      random,
      logger,
      leaseMs,
      pollMs,
      known: definitions.map(({ name, version }) => ({ name, version })),
      free: () => this.#free(),
      take: (claimed) => this.#take(claimed),
      isRunning: (sagaId) => this.#running.has(sagaId),
    });
  }

  get alarms(): Watch<readonly SagaAlarm[]> {
    return this.#observer.alarms;
  }

  async start<D extends SagaDefinition>(definition: D, request: SagaRequest<D>, bounds?: CallBounds): Promise<void> {
    bounds?.signal?.throwIfAborted();
    const mine = this.#working && !this.#stopping.signal.aborted && this.#lease.isValid() && this.#free() > 0;
    const { saga, progress, input } = this.#newSaga(definition, request, mine);
    const recorded = await this.#insert(saga);
    if (recorded === "taken") {
      await this.#checkSame(definition, saga, this.#database);
      return;
    }
    this.#instruments.started.add(1, { saga: definition.name, version: definition.version });
    if (!mine) {
      if (this.#working) this.#worker.kick();
      else await this.#rows.notify(["work"]);
      return;
    }
    this.#run(
      {
        definition,
        sagaId: saga.sagaId,
        input,
        principal: saga.principal,
        parent: parseTrace(saga),
        databaseMs: recorded,
        clockMs: this.#clock.nowMs(),
        fence: 1n,
        revision: 1n,
        pivotBegun: saga.pivotBegun,
        cancelReason: undefined,
        progress,
      },
      recorded,
    );
  }

  async enqueue<D extends SagaDefinition>(tx: Transaction, definition: D, request: SagaRequest<D>): Promise<void> {
    const { saga } = this.#newSaga(definition, request, false);
    const recorded = await this.#rows.insert([saga], tx);
    if (recorded.size === 0) await this.#checkSame(definition, saga, tx);
    else this.#instruments.started.add(1, { saga: definition.name, version: definition.version });
  }

  async begin(id: string): Promise<void> {
    if (!this.#working || this.#running.has(id)) return;
    if (!this.#lease.isValid() || this.#free() <= 0) {
      this.#worker.kick();
      return;
    }
    const claimed = await this.#rows.claimOne(this.#lease.worker, id);
    if (claimed !== undefined) this.#take(claimed);
  }

  async outcome<D extends SagaDefinition>(
    definition: D,
    id: string,
    bounds: CallBounds = {},
  ): Promise<SagaOutcome<ResultsOf<D>>> {
    return this.#waiting.outcome(definition, id, bounds.signal);
  }

  async query<D extends SagaDefinition>(definition: D, id: string): Promise<SagaView<D> | undefined> {
    const row = await this.#rows.find(id);
    if (row === undefined || row.name !== definition.name) return undefined;
    const own = this.#definitionOf(row) ?? (row.version === definition.version ? definition : undefined);
    if (own === undefined) return undefined;
    const progress = parseJournal(phaseOf(row), row.journal);
    return {
      sagaId: row.sagaId,
      version: row.version,
      state: row.state,
      step: row.step,
      pivotBegun: row.pivotBegun,
      input: fromInput<D>(fromBinary(own.input, row.input)),
      results: fromResults<Partial<ResultsOf<D>>>(createResults(own).all(progress)),
      failure: progress.failure,
      parkedReason: row.parkedReason,
      principal: row.principal,
      createTime: row.createdAt,
      updateTime: row.updatedAt,
    };
  }

  async cancel(id: string, reason: string): Promise<CancelAnswer> {
    return this.#cancel(this.#database, id, reason);
  }

  async cancelIn(tx: Transaction, id: string, reason: string): Promise<CancelAnswer> {
    return this.#cancel(tx, id, reason);
  }

  async #cancel(queries: Queries, id: string, reason: string): Promise<CancelAnswer> {
    const [row] = await queries.query(
      `WITH asked AS (
         UPDATE weft_sagas s SET cancel_reason = coalesce(s.cancel_reason, $2),
           due_at = CASE WHEN s.owner IS NULL THEN coalesce($3::timestamptz, now()) ELSE s.due_at END
         WHERE s.saga_id = $1 AND s.state = 'running' AND NOT s.pivot_begun RETURNING s.owner
       ), told AS (SELECT pg_notify('weft_sagas', 'work') FROM asked WHERE owner IS NULL)
       SELECT s.state, s.pivot_begun, s.parked_from, EXISTS (SELECT 1 FROM asked) AS accepted, (SELECT count(*)::int FROM told) AS told
       FROM weft_sagas s WHERE s.saga_id = $1`,
      [id, reason, this.#support.time()],
    );
    if (row === undefined) return "not-found";
    if (column.boolean(row, "accepted")) {
      this.#worker.kick();
      return "accepted";
    }
    const state = column.text(row, "state");
    if (state === "compensating") return "accepted";
    return state === "completed" || state === "compensated" ? "ended" : "too-late";
  }

  async work(signal: AbortSignal): Promise<void> {
    if (this.#working) throw new Error("sagas: work is under way already");
    this.#working = true;
    const { drainMs = 5_000 } = this.#options;
    // The lease outlives the search for work: steps under way end under it.
    await using lease = new Scope();
    await using search = new Scope();
    lease.spawn((ending) => this.#worker.keepLease(ending));
    search.spawn((ending) => this.#worker.findWork(ending));
    search.spawn((ending) => this.#observer.observe(ending));
    await Promise.race([aborted(signal), lease.failed, search.failed]);
    this.#stopping.abort();
    search.abort();
    const drained = new AbortController();
    await Promise.race([
      Promise.all(this.#running.values()),
      sleep(drainMs, { clock: this.#clock, signal: drained.signal }).catch(() => {
        // Everything ended in time.
      }),
    ]);
    drained.abort();
    this.#stop.abort();
    await Promise.all(this.#running.values());
    lease.abort();
    try {
      const given = await this.#rows.release(this.#lease.worker);
      await this.#rows.notify(["work"]);
      if (given > 0) this.#logger.info("sagas given to other workers", { count: given });
    } catch (error) {
      this.#logger.warn("sagas could not be given back: others take them when the lease runs out", { error });
    }
    this.#lease.ended();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    this.#stop.abort();
    await Promise.all(this.#running.values());
  }

  #free(): number {
    return (this.#options.mostRunning ?? 200) - this.#running.size;
  }

  #definitionOf(row: { readonly name: string; readonly version: number }): SagaDefinition | undefined {
    return this.#options.definitions.find(({ name, version }) => name === row.name && version === row.version);
  }

  #newSaga<D extends SagaDefinition>(
    definition: D,
    request: SagaRequest<D>,
    mine: boolean,
  ): { readonly saga: NewSaga; readonly progress: Progress; readonly input: unknown } {
    const { id } = request;
    if (id.length === 0 || id.length > longestId)
      throw new ConnectError(
        `saga id ${JSON.stringify(id)}: must be 1 to ${longestId} characters`,
        Code.InvalidArgument,
      );
    if (this.#definitionOf(definition) !== definition)
      throw new TypeError(
        `saga "${definition.name}" version ${definition.version}: is not among the definitions given`,
      );
    const input = create<DescMessage>(definition.input, fromRequest(request.input));
    const plan = planFrom(definition, noProgress, {
      nowMs: this.#clock.wallMs(),
      pivotBegun: false,
      looked: () => ({ sagaId: id, input, results: {} }),
    });
    // The intent of the first step is recorded with the saga when this process begins it at once.
    const progress = mine && plan.work.t === "call" ? plan.progress : noProgress;
    return {
      input,
      progress,
      saga: {
        sagaId: id,
        name: definition.name,
        version: definition.version,
        step: plan.step,
        pivotBegun: progress !== noProgress && plan.pivotBegun,
        input: toBinary(definition.input, input),
        journal: encodeJournal(progress),
        principal: request.principal ?? currentCallScope()?.user,
        owner: mine ? this.#lease.worker : undefined,
        ...keepTrace(context.active()),
      },
    };
  }

  async #checkSame(definition: SagaDefinition, saga: NewSaga, queries: Queries): Promise<void> {
    const row = await this.#rows.find(saga.sagaId, queries);
    const same =
      row !== undefined &&
      row.name === saga.name &&
      row.principal === saga.principal &&
      (row.version !== saga.version ||
        equals(definition.input, fromBinary(definition.input, row.input), fromBinary(definition.input, saga.input)));
    if (!same)
      throw new ConnectError(`saga ${JSON.stringify(saga.sagaId)}: the id is taken by another one`, Code.AlreadyExists);
  }

  #take({ row, nowMs }: Claimed): void {
    const definition = this.#definitionOf(row);
    if (definition === undefined) return;
    const before = this.#running.get(row.sagaId);
    if (before !== undefined) {
      // It has just written that it waits and is about to end here.
      void before.then(() => this.#take({ row, nowMs }));
      return;
    }
    const clockMs = this.#clock.nowMs();
    if (row.takeovers > 0) this.#instruments.takenOver.add(1, { saga: row.name });
    let start: RunStart;
    try {
      start = {
        definition,
        sagaId: row.sagaId,
        input: fromBinary(definition.input, row.input),
        principal: row.principal,
        parent: parseTrace(row),
        databaseMs: nowMs,
        clockMs,
        fence: row.fence,
        revision: row.revision,
        pivotBegun: row.pivotBegun,
        cancelReason: row.cancelReason,
        progress: afterTakeover(parseJournal(phaseOf(row), row.journal)),
      };
    } catch (error) {
      this.#parkUnread(row, `its row cannot be read: ${error instanceof Error ? error.message : String(error)}`);
      return;
    }
    if (row.takeovers > (this.#options.mostTakeovers ?? 5)) {
      this.#parkUnread(row, `${row.takeovers} workers died while they carried it out`);
      return;
    }
    this.#run(start, row.createdAt.getTime());
  }

  /** Parks a saga without touching its journal. */
  #parkUnread(row: SagaRow, parkedReason: string): void {
    this.#logger.error("a saga is parked: it needs an operator", {
      saga: row.sagaId,
      name: row.name,
      reason: parkedReason,
    });
    const { sagaId, fence, step, pivotBegun, journal } = row;
    const parkedFrom = phaseOf(row);
    const revision = row.revision + 1n;
    this.#track(
      sagaId,
      this.#support
        .write({
          sagaId,
          fence,
          revision,
          state: "parked",
          parkedFrom,
          parkedReason,
          step,
          pivotBegun,
          journal,
          keep: false,
          dueMs: 0,
        })
        .then(
          () => {},
          (error: unknown) => {
            this.#logger.warn("a saga could not be parked", { saga: sagaId, error });
          },
        ),
    );
  }

  #run(start: RunStart, createdMs: number): void {
    this.#track(start.sagaId, this.#carryOut(start, createdMs));
  }

  #track(id: string, work: Promise<void>): void {
    this.#running.set(
      id,
      work.finally(() => {
        this.#running.delete(id);
        this.#worker.roomMade();
      }),
    );
  }

  async #carryOut(start: RunStart, createdMs: number): Promise<void> {
    const end = await runSaga(this.#support, start);
    if (end.t === "waiting") this.#worker.kickIn(end.inMs);
    if (end.t === "ended") {
      const endMs = start.databaseMs + (this.#clock.nowMs() - start.clockMs);
      this.#instruments.duration.record(Math.max(0, endMs - createdMs) / 1_000, {
        saga: start.definition.name,
        version: start.definition.version,
        outcome: end.state,
      });
      if (end.watched)
        await this.#rows.notify([start.sagaId]).catch(() => {
          // Who waits looks by itself, a little later.
        });
    }
    this.#waiting.ended(start.sagaId, start.definition, end);
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

// Definitions carry the types of their messages; rows carry bytes.

function fromInput<D extends SagaDefinition>(message: MessageShape<DescMessage>): InputOf<D> {
  return message as InputOf<D>;
}

function fromResults<R>(results: unknown): R {
  return results as R;
}

function fromRequest(input: unknown): MessageInitShape<DescMessage> {
  return input as MessageInitShape<DescMessage>;
}
