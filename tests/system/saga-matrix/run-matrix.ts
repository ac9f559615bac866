import { type Cell, cellsOf, isWriteMoment, placeOrderSteps, rowsOf, type Step } from "./cells.js";
import { judge, stockOf } from "./invariants.js";
import { type Lane, type ParticipantName, participantNames, type Shop } from "./shop.js";
import { Trial } from "./trial.js";

/** The matrix as it is tried: its cells, and what became of each. */
export interface Matrix {
  readonly cells: readonly Cell[];
  readonly outcomes: ReadonlyMap<Cell, string>;
  readonly problems: readonly string[];
  /** Tries every cell of the list. */
  run(cells: readonly Cell[]): Promise<void>;
}

/** Learns from undisturbed orders what each step does, and makes the cells. */
export async function learnMatrix(shop: Shop): Promise<Matrix> {
  const runner = new Runner(shop);
  return runner.learn();
}

class Runner implements Matrix {
  readonly outcomes = new Map<Cell, string>();
  readonly problems: string[] = [];
  cells: readonly Cell[] = [];
  readonly #shop: Shop;
  readonly #byUser = new Map<string, Trial>();
  #broken: unknown;
  #turnAt = "";

  constructor(shop: Shop) {
    this.#shop = shop;
    for (const name of participantNames)
      shop.participants[name].proxy.gate = (call) => this.#byUser.get(call.user)?.call(name, call);
  }

  async learn(): Promise<Matrix> {
    const names = placeOrderSteps();
    const bare = (moment: Cell["moment"]): Cell => {
      const step: Step = { name: "", local: false, place: "after", compensates: false, calls: [], undoCalls: [] };
      const row = {
        title: "",
        step,
        next: "",
        call: undefined,
        undoCall: undefined,
        isFirstCall: true,
        isLastCall: true,
      };
      return { name: `an order without a fault (${moment})`, row, fault: "late", moment, without: undefined };
    };
    const forward = callsByStep(await this.#undisturbed(bare("after the intent")));
    const beforePivot = names.slice(
      0,
      names.findIndex(({ place }) => place === "pivot"),
    );
    this.#turnAt =
      beforePivot
        .flatMap(({ name }) => forward.get(name) ?? [])
        .map(({ method }) => method)
        .at(-1) ?? "";
    const backward = callsByStep(await this.#undisturbed(bare("compensating, before its commit")), "compensating");
    const steps = names.map((step) => ({
      ...step,
      calls: forward.get(step.name) ?? [],
      undoCalls: backward.get(step.name) ?? [],
    }));
    for (const step of steps)
      if (step.local !== (step.calls.length === 0) || (!step.local && step.compensates !== step.undoCalls.length > 0))
        throw new Error(`step "${step.name}" was not seen to do what its definition says`);
    this.cells = cellsOf(rowsOf(steps));
    return this;
  }

  async run(cells: readonly Cell[]): Promise<void> {
    const tried = cells.filter(({ without }) => without === undefined);
    const { length } = this.#shop.lanes;
    for (const victim of new Set(tried.map(victimOf))) {
      const group = tried.filter((cell) => victimOf(cell) === victim);
      // Any number of orders can be held at their calls when the fault strikes; at its writes a lane holds one.
      const held = group.filter((cell) => !isWriteMoment(cell));
      if (held.length > 0) await this.#wave(held);
      const writing = group.filter(isWriteMoment);
      for (let at = 0; at < writing.length; at += length) await this.#wave(writing.slice(at, at + length));
    }
  }

  /** Tries some cells at the same time: the fault strikes when each is held at its moment. */
  async #wave(cells: readonly Cell[]): Promise<void> {
    if (this.#broken !== undefined)
      throw new Error("the shop is not whole since an earlier failure", { cause: this.#broken });
    const before = await stockOf(this.#shop);
    const trials = cells.map((cell, at) => this.#trial(cell, at));
    const [fault] = cells.map((cell) => cell.fault);
    const free = fault === "duplicate" || fault === "late";
    try {
      await Promise.all(
        trials.map(async (trial) => {
          await trial.begin();
          await within(trial.reached.promise, `${trial.cell.name}: the moment`);
          if (free) trial.release();
        }),
      );
      await this.#strike(trials);
      await Promise.all(trials.map((trial) => trial.ended()));
    } catch (error) {
      for (const trial of trials) trial.release();
      this.#broken = error;
      throw new Error(`in a wave of ${cells.map(({ name }) => name).join("; ")}`, { cause: error });
    }
    for (const trial of trials) {
      const { outcome, problems } = await judge(this.#shop, trial);
      this.outcomes.set(trial.cell, outcome);
      this.problems.push(...problems);
      this.#byUser.delete(trial.user);
      trial.lane.proxy.gate = undefined;
    }
    const after = await stockOf(this.#shop);
    if (after.all !== before.all || after.held !== 0n)
      this.problems.push(
        `${cells.map(({ name }) => name).join("; ")}: stock ${before.all} became ${after.all}, ${after.held} held`,
      );
  }

  async #strike(trials: readonly Trial[]): Promise<void> {
    const release = (): void => {
      for (const trial of trials) trial.release();
    };
    const { participants, postgres } = this.#shop;
    switch (trials[0]?.cell.fault) {
      case "orchestrator killed": {
        const lanes = [...new Set(trials.map(({ lane }) => lane))];
        await Promise.all(lanes.map((lane) => lane.kill()));
        release();
        await Promise.all(lanes.map((lane) => lane.restart()));
        return;
      }
      case "participant killed": {
        const names = [...new Set(trials.map(({ cell }) => victimOf(cell)))].filter((name) => name !== undefined);
        await Promise.all(names.map((name) => participants[name].kill()));
        release();
        await Promise.all(names.map((name) => participants[name].restart()));
        return;
      }
      case "database down":
        await postgres.stop();
        release();
        await new Promise((resolve) => setTimeout(resolve, 300)); // what goes on meets a database that is away
        await postgres.start();
        return;
      default:
        release();
    }
  }

  #trial(cell: Cell, at: number): Trial {
    const lane = this.#lane(at % this.#shop.lanes.length);
    const trial = new Trial(this.#shop, lane, { cell, turnAt: this.#turnAt });
    this.#byUser.set(trial.user, trial);
    if (isWriteMoment(cell) || cell.row.title === "") lane.proxy.gate = trial;
    return trial;
  }

  #lane(at: number): Lane {
    const lane = this.#shop.lanes[at];
    if (lane === undefined) throw new Error("no lane");
    return lane;
  }

  async #undisturbed(cell: Cell): Promise<Trial> {
    const trial = this.#trial(cell, 0);
    await trial.begin();
    await trial.ended();
    this.problems.push(...(await judge(this.#shop, trial)).problems);
    trial.lane.proxy.gate = undefined;
    this.#byUser.delete(trial.user);
    return trial;
  }
}

/** The participant that a cell kills. */
function victimOf({ fault, moment, row }: Cell): ParticipantName | undefined {
  if (fault !== "participant killed") return undefined;
  return (moment.startsWith("compensating") ? row.undoCall : row.call)?.participant;
}

/** The calls that each step made: those between the write of its intent and the next. */
function callsByStep(trial: Trial, state = "running") {
  const calls = new Map<string, { readonly participant: ParticipantName; readonly method: string }[]>();
  let step = "";
  for (const passed of trial.seen) {
    if (passed.t === "write") step = passed.write.state === state ? passed.write.step : "";
    else if (step !== "") {
      const { participant, method } = passed;
      const known = calls.get(step) ?? [];
      // A step that waits for something asks more than once.
      if (!known.some((call) => call.method === method)) calls.set(step, [...known, { participant, method }]);
    }
  }
  return calls;
}

async function within(work: Promise<void>, what: string): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} was not reached`)), 240_000);
  });
  await Promise.race([work, late]).finally(() => clearTimeout(timer));
}
