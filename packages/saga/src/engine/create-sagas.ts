import { randomUUID } from "node:crypto";
import { setMaxListeners } from "node:events";
import { metrics, trace } from "@opentelemetry/api";
import { type Clock, type Logger, Scope, silentLogger, sleep, systemClock, type Watch } from "@weft/foundation";
import type { CallBounds, Database, Queries, Transaction } from "@weft/store";
import type { ResultsOf, SagaDefinition } from "../definition/saga.js";
import { cancelSaga } from "../rows/cancel.js";
import { phaseOf, type SagaRow } from "../rows/saga-row.js";
import { type Claimed, createSagaRows, type NewSaga, type SagaRows } from "../rows/saga-rows.js";
import { parseJournal } from "../state/journal.js";
import { afterTakeover } from "../state/progress.js";
import { createSagaInstruments, type SagaInstruments } from "../telemetry/instruments.js";
import { parseTrace } from "../telemetry/trace-context.js";
import { createBatcher } from "./batcher.js";
import { createLease, type OwnLease } from "./lease.js";
import { decodeMessage } from "./messages.js";
import { checkSame, newSaga, viewOf } from "./new-saga.js";
import { Observer } from "./observer.js";
import type { SagasOptions } from "./options.js";
import { runSaga } from "./run.js";
import type { RunStart, RunSupport } from "./run-start.js";
import type { CancelAnswer, SagaAlarm, SagaOutcome, SagaRequest, Sagas, SagaView } from "./sagas.js";
import { Waiting } from "./waiting.js";
import { Worker } from "./worker.js";

/** Makes the sagas of a service. Nothing is carried out until {@link Sagas.work} runs. */
export function createSagas(options: SagasOptions): Sagas {
  return new SagaEngine(options);
}

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
    this.#insert = createBatcher((sagas) => insertEach(rows, sagas), { atOnce: 2, mostItems: 100 });
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
    const { saga, progress, input } = this.#newSaga(definition, request, mine ? this.#lease.worker : undefined);
    const recorded = await this.#insert(saga);
    if (recorded === "taken") {
      await checkSame(this.#rows, definition, saga, this.#database);
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
    const { saga } = this.#newSaga(definition, request, undefined);
    const recorded = await this.#rows.insert([saga], tx);
    if (recorded.size === 0) await checkSame(this.#rows, definition, saga, tx);
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

  async query<D extends SagaDefinition>(
    definition: D,
    id: string,
    bounds?: CallBounds,
  ): Promise<SagaView<D> | undefined> {
    const row = await this.#rows.find(id, within(this.#database, bounds));
    if (row === undefined || row.name !== definition.name) return undefined;
    const own = this.#definitionOf(row) ?? (row.version === definition.version ? definition : undefined);
    return own === undefined ? undefined : viewOf<D>(row, own);
  }

  async cancel(id: string, reason: string, bounds?: CallBounds): Promise<CancelAnswer> {
    return this.#cancelBy(within(this.#database, bounds), id, reason);
  }

  async cancelIn(tx: Transaction, id: string, reason: string): Promise<CancelAnswer> {
    return this.#cancelBy(tx, id, reason);
  }

  async #cancelBy(queries: Queries, id: string, reason: string): Promise<CancelAnswer> {
    const answer = await cancelSaga(queries, id, reason, this.#support.time());
    if (answer === "accepted") this.#worker.kick();
    return answer;
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
    owner: string | undefined,
  ): ReturnType<typeof newSaga> {
    const { name, version } = definition;
    if (this.#definitionOf(definition) !== definition)
      throw new TypeError(`saga "${name}" version ${version}: is not among the definitions given`);
    return newSaga(definition, request, { owner, nowMs: this.#clock.wallMs() });
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
        input: decodeMessage(definition.input, row.input),
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

function within(database: Database, bounds: CallBounds | undefined): Queries {
  return { query: (sql, values) => database.query(sql, values, bounds) };
}

/** Records each; one id twice in one statement would be one row, and both told that it is theirs. */
async function insertEach(rows: SagaRows, sagas: readonly NewSaga[]): Promise<readonly (number | "taken")[]> {
  const first = new Map<string, NewSaga>();
  for (const saga of sagas) if (!first.has(saga.sagaId)) first.set(saga.sagaId, saga);
  const recorded = await rows.insert([...first.values()]);
  return sagas.map((saga) => (first.get(saga.sagaId) === saga ? (recorded.get(saga.sagaId) ?? "taken") : "taken"));
}
