import { Int64ValueSchema, StringValueSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { Scope } from "@weft/foundation";
import { column, type Database } from "@weft/store";
import { saga } from "../definition/saga.js";
import type { CompensationCall, StepCall } from "../definition/step.js";
import { createSagas } from "../engine/create-sagas.js";
import type { Sagas } from "../engine/sagas.js";
import { parseSagaRow, phaseOf, sagaColumns } from "../rows/saga-row.js";
import { parseJournal } from "../state/journal.js";
import { checkInvariants } from "./invariants.js";
import { Participants, price } from "./participants.js";
import type { Fault, RemoteStep, Schedule, SimOrder } from "./schedule.js";
import { SimClock } from "./sim-clock.js";
import { type SimNet, SimProcess } from "./sim-process.js";

const policy = {
  timeoutMs: 300,
  compensationTimeoutMs: 300,
  attempts: 4,
  backoff: { initialMs: 20, maxMs: 200, multiplier: 2, jitter: 0.2 },
  parkAfter: 40,
};

/** The tables of the simulated service beside its sagas. */
export const simSchema =
  "CREATE TABLE sim_orders (saga_id text PRIMARY KEY, state text NOT NULL, changes integer NOT NULL)";

let runs = 0;

/**
 * One run of a shop under a schedule of faults: two processes on one real database, participants in memory, time that only the program moves.
 * Fails when anything that must hold does not.
 */
export async function simulate(
  database: Database,
  schedule: Schedule,
): Promise<{ readonly states: readonly string[]; readonly fired: number }> {
  const simulation = new Simulation(database, schedule, `sim-${++runs}`);
  return simulation.run();
}

class Simulation {
  readonly #database: Database;
  readonly #schedule: Schedule;
  readonly #name: string;
  readonly #clock = new SimClock();
  readonly #net: SimNet;
  readonly #shop: Participants;
  readonly #calls = new Map<string, number>();
  readonly #problems: string[] = [];
  readonly #cancels = new Map<string, string>();
  readonly #processes: { readonly process: SimProcess; readonly sagas: Sagas; readonly scope: Scope }[] = [];
  #seed = 1;
  #fired = 0;

  constructor(database: Database, schedule: Schedule, name: string) {
    this.#database = database;
    this.#schedule = schedule;
    this.#name = name;
    this.#net = { clock: this.#clock, database, downUntilMs: 0, queue: Promise.resolve() };
    this.#shop = new Participants(schedule.stock);
  }

  async run(): Promise<{ readonly states: readonly string[]; readonly fired: number }> {
    this.#startProcess();
    this.#startProcess();
    let open = this.#schedule.orders.length;
    const ids = this.#schedule.orders.map((_, at) => this.#id(at));
    const clients = this.#schedule.orders.map((order, at) => this.#client(order, at));
    let checking = false;
    const look = (): void => {
      this.#clock.after(250, () => {
        if (checking) return look();
        checking = true;
        void this.#clock
          .hold(async () => {
            const rows = await this.#database.query(
              "SELECT count(*)::int AS ended FROM weft_sagas WHERE saga_id = ANY($1) AND state IN ('completed', 'compensated', 'parked')",
              [ids],
            );
            open = ids.length - (rows[0] === undefined ? 0 : column.integer(rows[0], "ended"));
          })
          .finally(() => {
            checking = false;
            if (open > 0) look();
          });
      });
    };
    look();
    await this.#clock.run(() => open === 0, 240_000);
    for (const { process } of this.#processes) process.crash();
    // Calls that are late may still come: they must find the door closed.
    let late = false;
    this.#clock.after(10_000, () => {
      late = true;
    });
    await this.#clock.run(() => late, 20_000);
    void clients;
    const { states, problems } = await checkInvariants(this.#database, {
      shop: this.#shop,
      schedule: this.#schedule,
      cancels: this.#cancels,
      ids,
    });
    const all = [...this.#problems, ...problems];
    if (all.length > 0) throw new Error(all.join("\n"));
    return { states, fired: this.#fired };
  }

  #id(order: number): string {
    return `${this.#name}-${order}`;
  }

  /** Whoever places an order tries again, elsewhere too, until it is recorded; and may call it off later. */
  async #client(order: SimOrder, at: number): Promise<void> {
    const id = this.#id(at);
    const tryToStart = (turn: number): void => {
      const live = this.#processes.filter(({ process }) => process.alive);
      const chosen = live[(at + turn) % Math.max(1, live.length)];
      let started = false;
      chosen?.sagas
        .start(this.#definition(), { id, input: { value: JSON.stringify([at, order.customer]) }, principal: "ada" })
        .then(
          () => {
            started = true;
          },
          () => {},
        );
      this.#clock.after(400, () => {
        if (!started && turn < 50) tryToStart(turn + 1);
      });
    };
    tryToStart(0);
    if (order.cancelAtMs !== undefined) {
      this.#clock.after(order.cancelAtMs, () => {
        void this.#processes
          .find(({ process }) => process.alive)
          ?.sagas.cancel(id, "changed my mind")
          .then(
            (answer) => void this.#cancels.set(id, answer),
            () => {},
          );
      });
    }
  }

  #startProcess(): void {
    const ordinal = this.#processes.length;
    const process = new SimProcess(this.#net, (nth) => {
      const fault = this.#schedule.faults.find((f) => f.t === "write" && f.process === ordinal && f.nth === nth);
      if (fault?.t === "write") this.#fired += 1;
      return fault?.t === "write" ? fault.what : undefined;
    });
    const sagas = createSagas({
      database: process.database,
      definitions: [this.#definition(process)],
      clock: process.clock,
      random: () => this.#random(),
      leaseMs: 900,
      pollMs: 300,
      observeMs: 600_000,
      time: "clock",
    });
    const scope = new Scope();
    scope.spawn((signal) => sagas.work(signal));
    scope.failed.catch((error: unknown) => this.#problems.push(`work failed: ${String(error)}`));
    process.onDeath = () => {
      // Replicas come back, a little later.
      if (this.#processes.length < 12) this.#clock.after(500, () => this.#startProcess());
    };
    this.#processes.push({ process, sagas, scope });
  }

  #random(): number {
    this.#seed = (this.#seed * 48_271) % 2_147_483_647;
    return this.#seed / 2_147_483_647;
  }

  readonly #definitions = new Map<SimProcess | undefined, ReturnType<Simulation["define"]>>();

  /** The definition as a process has it; its calls go through that process. */
  #definition(process: SimProcess | undefined = this.#processes.find((p) => p.process.alive)?.process) {
    const known = this.#definitions.get(process);
    if (known !== undefined) return known;
    const made = this.define(process);
    this.#definitions.set(process, made);
    return made;
  }

  define(process: SimProcess | undefined) {
    const orderOf = (input: { readonly value: string }): { at: number; order: SimOrder; customer: number } => {
      const [at, customer] = parseInput(input.value);
      const order = this.#schedule.orders[at];
      if (order === undefined) throw new Error("no such order");
      return { at, order, customer };
    };
    type Given = Pick<StepCall<{ readonly value: string }, unknown>, "sagaId" | "input" | "signal" | "key">;
    const call = <T>(
      step: RemoteStep,
      kind: "run" | "compensate" | "ask",
      given: Given,
      effect: () => T,
    ): Promise<T> => {
      if (process === undefined) throw new Error("no process");
      return this.#call(process, orderOf(given.input).at, step, kind, given.sagaId, effect);
    };
    type Undo = CompensationCall<{ readonly value: string }, unknown, unknown>;
    const undo = (step: RemoteStep, given: Undo, effect: () => void): Promise<void> =>
      call(step, "compensate", given, effect);
    return saga(this.#name, { version: 1, input: StringValueSchema })
      .lock("customer", {
        key: ({ input }) => `${this.#name}/customer/${orderOf(input).customer}`,
        whenTaken: "wait",
        waitMs: 120_000,
      })
      .local("record", {
        run: async (tx, { sagaId }) => {
          await tx.query(
            "INSERT INTO sim_orders VALUES ($1, 'placed', 1) ON CONFLICT (saga_id) DO UPDATE SET changes = sim_orders.changes + 1",
            [sagaId],
          );
        },
        compensate: async (tx, { sagaId }) => {
          await tx.query("UPDATE sim_orders SET state = 'refused', changes = changes + 1 WHERE saga_id = $1", [sagaId]);
        },
        policy,
      })
      .step("reserve", {
        result: Int64ValueSchema,
        run: (given) =>
          call("reserve", "run", given, () => {
            const { quantity } = orderOf(given.input).order;
            this.#shop.reserve(given.key, quantity);
            return { value: BigInt(quantity) };
          }),
        compensate: (given) => undo("reserve", given, () => this.#shop.release(given.stepKey)),
        policy,
      })
      .parallel("prepare", (group) =>
        group
          .step("authorize", {
            result: StringValueSchema,
            run: (given) =>
              call("authorize", "run", given, () => {
                this.#shop.authorize(given.key, price, orderOf(given.input).order.declines);
                return { value: given.key };
              }),
            compensate: (given) => undo("authorize", given, () => this.#shop.void(given.stepKey)),
            ask: (given) =>
              call("authorize", "ask", given, () => {
                const t = this.#shop.authorizations.ask(given.key);
                return t === "found" ? { t, result: { value: given.key } } : { t };
              }),
            policy,
          })
          .step("quote", { run: (given) => call("quote", "run", given, () => undefined), policy }),
      )
      .pivot("capture", {
        run: (given) =>
          call("capture", "run", given, () =>
            this.#shop.capture(
              given.key,
              given.results.authorize.value,
              price,
              orderOf(given.input).order.captureRefused,
            ),
          ),
        ask: (given) =>
          call("capture", "ask", given, () => {
            const t = this.#shop.captures.ask(given.key);
            return t === "found" ? { t, result: undefined } : { t };
          }),
        policy,
      })
      .local("confirm", {
        run: async (tx, { sagaId }) => {
          await tx.query("UPDATE sim_orders SET state = 'confirmed', changes = changes + 1 WHERE saga_id = $1", [
            sagaId,
          ]);
        },
        policy,
      })
      .step("label", { run: (given) => call("label", "run", given, () => this.#shop.label(given.key)), policy });
  }

  /** One call over the network, with whatever goes wrong with it. */
  #call<T>(
    process: SimProcess,
    order: number,
    step: RemoteStep,
    kind: "run" | "compensate" | "ask",
    sagaId: string,
    effect: () => T,
  ): Promise<T> {
    const name = `${order} ${step} ${kind}`;
    const nth = this.#calls.get(name) ?? 0;
    this.#calls.set(name, nth + 1);
    const fault = this.#schedule.faults.find(
      (f): f is Extract<Fault, { t: "call" }> =>
        f.t === "call" &&
        f.order % this.#schedule.orders.length === order &&
        f.step === step &&
        f.kind === kind &&
        f.nth === nth,
    );
    if (fault !== undefined) this.#fired += 1;
    const never = new Promise<never>(() => {});
    const participant = async (): Promise<T> => {
      await this.#clock.hold(() => this.#checkIntent(process, sagaId, step, kind));
      return effect();
    };
    const answer = async (): Promise<T> => {
      switch (fault?.what) {
        case undefined:
        case "crash after the answer":
          return participant();
        case "crash before the call":
          process.crash();
          return never;
        case "crash after the participant's commit": {
          await participant().catch(() => {});
          process.crash();
          return never;
        }
        case "participant fails before its commit":
          throw new ConnectError("gone", Code.Unavailable);
        case "participant fails after its commit": {
          await participant().catch(() => {});
          throw new ConnectError("gone", Code.Unavailable);
        }
        case "turned away":
          throw new ConnectError("too busy", Code.ResourceExhausted);
        case "refused this once":
          throw new ConnectError("not now", Code.FailedPrecondition);
        case "duplicate": {
          const first = participant();
          this.#clock.after(fault.forMs, () => {
            try {
              effect();
            } catch {
              // The second copy of the call is answered to nobody.
            }
          });
          return first;
        }
        case "late answer": {
          const result = await participant();
          await new Promise<void>((resolve) => this.#clock.after(policy.timeoutMs + fault.forMs, resolve));
          return result;
        }
        case "late call": {
          await new Promise<void>((resolve) => this.#clock.after(policy.timeoutMs + fault.forMs, resolve));
          return effect();
        }
        case "database down":
          this.#net.downUntilMs = this.#clock.nowMs() + fault.forMs;
          // The participant has a database of its own.
          return effect();
        case "paused": {
          const result = await participant();
          process.pause(fault.forMs);
          return result;
        }
      }
    };
    const heard = process.hear(answer());
    if (fault?.what === "crash after the answer")
      return heard.finally(() => this.#clock.after(0, () => process.crash()));
    return heard;
  }

  /** Nothing is called whose intent is not on disk; nothing is compensated before the turn is. */
  async #checkIntent(process: SimProcess, sagaId: string, step: string, kind: string): Promise<void> {
    const [found] = await this.#database.query(`SELECT ${sagaColumns} FROM weft_sagas s WHERE s.saga_id = $1`, [
      sagaId,
    ]);
    if (found === undefined) {
      this.#problems.push(`${step} ${kind} was called before its saga was recorded`);
      return;
    }
    const row = parseSagaRow(found);
    const entry = parseJournal(phaseOf(row), row.journal).entries.get(step);
    // A process whose lease was taken may still have a call on its way; then the row is the other's.
    const mine = row.takeovers === 0 && process.alive;
    if (entry === undefined) this.#problems.push(`${step} ${kind} was called without an intent`);
    if (kind === "run" && mine && phaseOf(row) === "running" && entry?.state === "waiting")
      this.#problems.push(`${step} was called while its row says that it waits`);
    if (kind === "compensate" && phaseOf(row) !== "compensating")
      this.#problems.push(`${step} was compensated in a saga that goes forward`);
  }
}

function parseInput(text: string): [at: number, customer: number] {
  return JSON.parse(text) as [number, number];
}
