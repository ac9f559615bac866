import { randomUUID } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import { OrderRefusedDetailSchema, OrderState } from "@weft/contracts/shop/orders/v1";
import { eventually } from "@weft/foundation/testing";
import { column } from "@weft/store";
import type { Answer, Call } from "./call-proxy.js";
import type { Cell } from "./cells.js";
import type { SagaWrite, WriteFate } from "./postgres-proxy.js";
import { fillCart, type Lane, type ParticipantName, type Shop } from "./shop.js";

/** What a caller may send the same request again after; this client calls it CANCELED when a server dies in the middle. */
const retryable: readonly Code[] = [Code.Unavailable, Code.DeadlineExceeded, Code.Aborted, Code.Canceled];
const ceiling = { ceilingMs: 240_000, everyMs: 20 };

/**
 * One order that meets one fault at one moment.
 *
 *   begin ─▶ … the order's saga … ─▶ held at its moment (`reached`) ─▶ `strike` by whoever runs the trial ─▶ `release` ─▶ `ended`
 */
export class Trial {
  readonly cell: Cell;
  readonly lane: Lane;
  readonly user: string;
  /** Everything that was seen to pass, in order, for the one trial without a fault. */
  readonly seen: (
    | { readonly t: "write"; readonly write: SagaWrite }
    | { readonly t: "call"; readonly participant: ParticipantName; readonly method: string }
  )[] = [];
  readonly reached = signal();
  readonly #released = signal();
  readonly #late = new Set<Promise<unknown>>();
  readonly #shop: Shop;
  readonly #turnsBack: boolean;
  /** The last step before the pivot that makes a call: the order is called off while its answer is on the way. */
  readonly #turnAt: string;
  #begun = false;
  #turned = false;
  #forward: Call | undefined;
  #answered = false;
  #placed: Promise<void> = Promise.resolve();

  constructor(shop: Shop, lane: Lane, options: { readonly cell: Cell; readonly turnAt: string }) {
    this.cell = options.cell;
    this.lane = lane;
    this.user = `matrix-${randomUUID()}`;
    this.#shop = shop;
    this.#turnAt = options.turnAt;
    this.#turnsBack = options.cell.moment.startsWith("compensating");
  }

  /** Places the order. */
  async begin(): Promise<void> {
    const request = await fillCart(this.#shop, this.user, "chocolate-70");
    this.#begun = true;
    this.#placed = this.#place(request);
    // Who waits for the moment need not wait for ever when the order cannot even be placed.
    this.#placed.catch((error: unknown) => this.reached.fail(error));
  }

  /** Lets what is held go on, as the fault has it. */
  release(): void {
    this.#released.resolve();
  }

  /** Resolves when the order's saga has ended, nothing of it is under way, and whoever placed it knows. */
  async ended(): Promise<void> {
    await this.#placed;
    await eventually(async () => {
      const open = await this.lane.database.query(
        `SELECT 1 FROM weft_sagas s JOIN orders o ON o.order_id::text = s.saga_id
         WHERE o.principal = $1 AND s.ended_at IS NULL AND s.state <> 'parked'`,
        [this.user],
      );
      return open.length === 0;
    }, ceiling);
    await this.lane.proxy.lateDone();
    while (this.#late.size > 0) await Promise.all(this.#late);
  }

  /** A patient caller: the same request again after what may pass. */
  async #place(request: Awaited<ReturnType<typeof fillCart>>): Promise<void> {
    for (const untilMs = performance.now() + ceiling.ceilingMs; performance.now() < untilMs; ) {
      try {
        const { order } = await this.lane.ordersAs(this.user).checkout(request, { timeoutMs: 15_000 });
        if (order?.state === OrderState.AWAITING_CHALLENGE) await this.#answerChallenge(order.orderId);
        else if (order?.state !== OrderState.PLACED) return;
      } catch (thrown) {
        const error = ConnectError.from(thrown);
        if (error.findDetails(OrderRefusedDetailSchema).length > 0) return;
        if (!retryable.includes(error.code)) throw error;
      }
      await pause(100);
    }
    throw new Error(`${this.cell.name}: the order did not end for who placed it`);
  }

  /** The answer that the bank wants to hear, under one key however often it is given. */
  async #answerChallenge(orderId: string): Promise<void> {
    const request = { idempotencyKey: `${this.user}-answer`, orderId, answer: "let me through" };
    await this.lane
      .ordersAs(this.user)
      .answerChallenge(request, { timeoutMs: 15_000 })
      .catch((thrown: unknown) => {
        const { code } = ConnectError.from(thrown);
        // It was heard before, and the order went on.
        if (code !== Code.FailedPrecondition && !retryable.includes(code)) throw thrown;
      });
  }

  // What passes.

  call(participant: ParticipantName, call: Call): Promise<Answer | "lost"> | undefined {
    // Filling the cart and answering the bank make calls too, which are no step's.
    if (!this.#begun || call.method === "AnswerChallenge") return undefined;
    const { row, moment } = this.cell;
    this.seen.push({ t: "call", participant, method: call.method });
    if (this.#turnsBack) {
      if (call.method === this.#turnAt && !this.#turned) return this.#turnBack(call);
      if (row.call?.method === call.method && !this.#turned) this.#forward = call;
      if (row.undoCall?.method === call.method && this.#turned && this.#first())
        return this.#strikeCall(call, moment === "compensating, after its commit");
      return undefined;
    }
    if (row.call?.method !== call.method || this.#answered) return undefined;
    if (moment === "after the intent" || moment === "after the participant's commit")
      return this.#first() ? this.#strikeCall(call, moment === "after the participant's commit") : undefined;
    if (moment !== "before the result is saved") return undefined;
    this.#forward = call;
    return call.deliver().then((answer) => {
      this.#answered = true;
      return answer;
    });
  }

  sent(write: SagaWrite): Promise<WriteFate> | undefined {
    this.seen.push({ t: "write", write });
    return this.#isMoment(write, false) && this.#first() ? this.#strikeWrite(write, false) : undefined;
  }

  answered(write: SagaWrite): Promise<WriteFate> | undefined {
    return this.#isMoment(write, true) && this.#first() ? this.#strikeWrite(write, true) : undefined;
  }

  #isMoment(write: SagaWrite, isAnswer: boolean): boolean {
    const { row, moment } = this.cell;
    const ownCommit = row.step.local && write.t === "commit";
    const commits = ownCommit && write.state === "running" && write.step === row.next;
    const undoes = ownCommit && write.state === "compensated";
    switch (moment) {
      case "before the intent":
        if (isAnswer) return false;
        return row.step.local ? write.state === "recorded" : write.step === row.step.name;
      case "after the intent":
        return false;
      case "after the participant's commit":
        return isAnswer && commits;
      case "before the result is saved":
        return !isAnswer && (commits || (this.#answered && write.step !== row.step.name));
      case "compensating, before its commit":
        return !isAnswer && undoes;
      case "compensating, after its commit":
        return isAnswer && undoes;
    }
  }

  #struck = false;
  #first(): boolean {
    if (this.#struck) return false;
    this.#struck = true;
    return true;
  }

  // What is done to it.

  async #strikeCall(call: Call, afterCommit: boolean): Promise<Answer | "lost"> {
    const { fault } = this.cell;
    const first = afterCommit ? await call.deliver() : undefined;
    this.reached.resolve();
    await this.#released.promise;
    switch (fault) {
      case "orchestrator killed":
      case "participant killed":
        return "lost";
      case "database down":
        return first ?? call.deliver();
      case "duplicate":
        if (first === undefined) return Promise.race([this.#track(call.deliver()), this.#track(call.deliver())]);
        // The step's own message too, where it is the compensation that is doubled: it comes too late then, and must be refused.
        if (this.#forward !== undefined) await this.#forward.deliver();
        return call.deliver();
      case "late":
        await call.givenUp;
        if (first === undefined) void this.#track(pause(300).then(() => call.deliver()));
        return "lost";
    }
  }

  async #strikeWrite(write: SagaWrite, isAnswer: boolean): Promise<WriteFate> {
    const { fault } = this.cell;
    this.reached.resolve();
    await this.#released.promise;
    switch (fault) {
      case "orchestrator killed":
        return { t: "lost" };
      case "participant killed":
        return { t: "pass" };
      case "database down":
        return { t: "lost" };
      case "duplicate":
        await this.#forward?.deliver();
        return { t: "pass" };
      case "late":
        // A transaction is given up by itself after its deadline; a statement by itself has none, and its connection breaks.
        return { t: "late", broken: !isAnswer && (write.t === "statement" || write.state === "recorded") };
    }
  }

  /** Whoever placed the order calls it off while the last answer before the pivot is on its way. */
  async #turnBack(call: Call): Promise<Answer | "lost"> {
    this.#turned = true;
    if (this.cell.row.call?.method === call.method) this.#forward = call;
    const answer = await call.deliver();
    const [order] = await this.lane.database.query("SELECT order_id FROM orders WHERE principal = $1", [this.user]);
    if (order === undefined) throw new Error("no order to call off");
    const orderId = column.text(order, "order_id");
    const cancelling = this.lane
      .ordersAs(this.user)
      .cancelOrder({ idempotencyKey: randomUUID(), orderId }, { timeoutMs: 30_000 });
    // How it ended is read from the order; its answer is lost with the process that would give it.
    cancelling.catch(() => {});
    await eventually(async () => {
      const sql = "SELECT 1 FROM weft_sagas WHERE saga_id = $1 AND cancel_reason IS NOT NULL";
      return (await this.lane.database.query(sql, [orderId])).length > 0;
    }, ceiling);
    return answer;
  }

  #track<T>(work: Promise<T>): Promise<T> {
    const settled = work.then(
      () => {},
      () => {
        // A duplicate or a late message may be refused; what it left behind is checked in the end.
      },
    );
    this.#late.add(settled);
    void settled.then(() => this.#late.delete(settled));
    return work;
  }
}

interface Signal {
  readonly promise: Promise<void>;
  resolve(): void;
  fail(error: unknown): void;
}

function signal(): Signal {
  let resolve = (): void => {};
  let fail = (_: unknown): void => {};
  const promise = new Promise<void>((resolved, rejected) => {
    resolve = resolved;
    fail = rejected;
  });
  promise.catch(() => {
    // Told where it is waited for.
  });
  return { promise, resolve: () => resolve(), fail: (error) => fail(error) };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
