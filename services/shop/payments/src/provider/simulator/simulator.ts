import { randomUUID } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import { type Clock, type Scope, sleep, systemClock } from "@weft/foundation";
import { column, type Database, type Queries, type Row, type Transaction } from "@weft/store";
import type { Answer, Charge, DeclineReason, KeptCard, Notice, PaymentProvider } from "../provider.js";
import { type Behaviour, behaviourOf, challengeAnswer, challengePrompt, testCards } from "./test-cards.js";

export interface SimulatorOptions {
  /** A database with the simulator's migration. Connections of its own: it answers while a caller's transaction is open. */
  readonly database: Database;
  /** Owns the notices that are still to be given. */
  readonly scope: Scope;
  /** How long the `late` card is decided on. */
  readonly lateAfterMs: number;
  readonly clock?: Clock;
}

/** Longer than anybody waits; less than a timer can hold. */
const foreverMs = 2 ** 30;

/**
 * A payment provider that moves no money. How a charge goes depends on its card alone (`test-cards.ts`); what became of it is kept in tables,
 * as at a company that does not go away when its customer's process does.
 */
export function createSimulator({
  database,
  scope,
  lateAfterMs,
  clock = systemClock,
}: SimulatorOptions): PaymentProvider {
  const listeners = new Set<(notice: Notice) => void>();

  const notifyIn = (delayMs: number, chargeKey: string): void => {
    scope.spawn(async (signal) => {
      await sleep(delayMs, { clock, signal });
      // A database that is away costs a notice, as it may.
      const answer = await lookUp(database, chargeKey).catch(() => undefined);
      if (answer !== undefined) for (const listener of listeners) listener({ chargeKey, answer });
    });
  };

  /** Works on one charge, locked. */
  const withCharge = <T>(signal: AbortSignal, chargeKey: string, work: (tx: Transaction, row: Row) => Promise<T>) =>
    database.transaction(
      async (tx) => {
        const row = await findCharge(tx, chargeKey, "FOR UPDATE");
        if (row === undefined) throw new ConnectError("simulator: no such charge", Code.Internal);
        return work(tx, row);
      },
      { bounds: { signal } },
    );

  /** Makes the charge if it is new, and tells how it stands. */
  const open = (charge: Charge, signal: AbortSignal) =>
    database.transaction(
      async (tx) => {
        const [card] = await tx.query("SELECT behaviour FROM simulator_cards WHERE token = $1", [charge.token]);
        if (card === undefined) throw new ConnectError("simulator: no such card", Code.Internal);
        const behaviour = fromBehaviour(column.text(card, "behaviour"));
        const { state, reason } = firstState(behaviour);
        const made = await tx.query(
          `INSERT INTO simulator_charges (charge_key, amount, state, reason, decide_time)
           VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5)) ON CONFLICT (charge_key) DO NOTHING RETURNING 1`,
          [charge.chargeKey, charge.amount.toString(), state, reason, lateAfterMs / 1_000],
        );
        const row = await findCharge(tx, charge.chargeKey, "FOR UPDATE");
        return { behaviour, isNew: made.length > 0, answer: row === undefined ? undefined : answerOf(row) };
      },
      { bounds: { signal } },
    );

  return {
    testCards,

    async tokenize(cardNumber, signal): Promise<KeptCard> {
      const token = `card_${randomUUID()}`;
      const values = [token, behaviourOf(cardNumber)];
      await database.query("INSERT INTO simulator_cards (token, behaviour) VALUES ($1, $2)", values, { signal });
      return { token, brand: brandOf(cardNumber) };
    },

    async authorize(charge, signal) {
      const { behaviour, isNew, answer } = await open(charge, signal);
      if (behaviour === "twice" && isNew) notifyIn(20, charge.chargeKey);
      if (behaviour === "late" && isNew) notifyIn(lateAfterMs, charge.chargeKey);
      if (answer !== undefined) return answer;
      for (;;) {
        await sleep(behaviour === "late" ? lateAfterMs : foreverMs, { clock, signal });
        const decided = await lookUp(database, charge.chargeKey, signal);
        if (decided !== undefined) return decided;
      }
    },

    answerChallenge: (chargeKey, given, signal) =>
      withCharge(signal, chargeKey, async (tx, row) => {
        const answer = answerOf(row);
        if (answer?.t !== "challenge") return answer ?? undecided();
        if (given === challengeAnswer) return move(tx, chargeKey, { t: "authorized" });
        return move(tx, chargeKey, { t: "declined", reason: "challenge-failed" });
      }),

    capture: ({ chargeKey, amount }, signal) =>
      withCharge(signal, chargeKey, async (tx, row) => {
        const answer = answerOf(row);
        return answer?.t === "authorized" ? move(tx, chargeKey, { t: "captured", amount }) : (answer ?? undecided());
      }),

    async void(chargeKey, signal) {
      // A key that is not known yet is forbidden by a row of its own.
      await database.query(
        "INSERT INTO simulator_charges (charge_key, state) VALUES ($1, 'voided') ON CONFLICT (charge_key) DO NOTHING",
        [chargeKey],
        { signal },
      );
      return withCharge(signal, chargeKey, async (tx, row) => {
        const answer = answerOf(row);
        if (answer?.t === "captured" || answer?.t === "voided") return answer;
        return move(tx, chargeKey, { t: "voided", held: answer?.t === "authorized" });
      });
    },

    refund: ({ refundKey, chargeKey, amount }, signal) =>
      withCharge(signal, chargeKey, async (tx, row) => {
        await tx.query(
          `INSERT INTO simulator_refunds (refund_key, charge_key, amount) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
          [refundKey, chargeKey, amount.toString()],
        );
        const [sum] = await tx.query(
          "SELECT coalesce(sum(amount), 0)::bigint AS refunded FROM simulator_refunds WHERE charge_key = $1",
          [chargeKey],
        );
        const captured = row["captured"] === null ? 0n : column.bigint(row, "captured");
        if (sum === undefined || column.bigint(sum, "refunded") > captured)
          throw new ConnectError("simulator: more refunded than captured", Code.Internal);
      }),

    lookUp: (chargeKey, signal) => lookUp(database, chargeKey, signal),

    onNotice(listener) {
      listeners.add(listener);
      return { [Symbol.dispose]: () => void listeners.delete(listener) };
    },
  };
}

async function lookUp(database: Database, chargeKey: string, signal?: AbortSignal): Promise<Answer | undefined> {
  const queries: Queries = {
    query: (sql, values) => database.query(sql, values, signal === undefined ? {} : { signal }),
  };
  const row = await findCharge(queries, chargeKey);
  return row === undefined ? undefined : answerOf(row);
}

async function findCharge(queries: Queries, chargeKey: string, lock = ""): Promise<Row | undefined> {
  const [row] = await queries.query(
    `SELECT state, reason, captured, held, decide_time <= clock_timestamp() AS decided
     FROM simulator_charges WHERE charge_key = $1 ${lock}`,
    [chargeKey],
  );
  return row;
}

/** What a row says; nothing while its charge is not decided, or when the simulator plays dead. */
function answerOf(row: Row): Answer | undefined {
  switch (column.text(row, "state")) {
    case "authorized":
      return { t: "authorized" };
    case "deciding":
      return column.boolean(row, "decided") ? { t: "authorized" } : undefined;
    case "challenge":
      return { t: "challenge", prompt: challengePrompt };
    case "declined":
      return { t: "declined", reason: fromReason(column.text(row, "reason")) };
    case "captured":
      return { t: "captured", amount: column.bigint(row, "captured") };
    case "voided":
      return { t: "voided", held: column.boolean(row, "held") };
    default:
      return undefined;
  }
}

async function move(tx: Transaction, chargeKey: string, answer: Answer): Promise<Answer> {
  await tx.query(
    "UPDATE simulator_charges SET state = $2, reason = $3, captured = $4, held = $5 WHERE charge_key = $1",
    [
      chargeKey,
      answer.t,
      answer.t === "declined" ? answer.reason : null,
      answer.t === "captured" ? answer.amount.toString() : null,
      answer.t === "voided" && answer.held,
    ],
  );
  return answer;
}

function firstState(behaviour: Behaviour): { readonly state: string; readonly reason: DeclineReason | null } {
  switch (behaviour) {
    case "approve":
    case "twice":
      return { state: "authorized", reason: null };
    case "challenge":
      return { state: "challenge", reason: null };
    case "time-out":
      return { state: "silent", reason: null };
    case "late":
      return { state: "deciding", reason: null };
    default:
      return { state: "declined", reason: behaviour };
  }
}

function undecided(): never {
  throw new ConnectError("simulator: the charge is not decided", Code.Unavailable);
}

function brandOf(cardNumber: string): KeptCard["brand"] {
  if (cardNumber.startsWith("4")) return "visa";
  if (/^(5[1-5]|2[2-7])/.test(cardNumber)) return "mastercard";
  return /^3[47]/.test(cardNumber) ? "amex" : "other";
}

/** Our own insert wrote it. */
function fromBehaviour(text: string): Behaviour {
  return text as Behaviour;
}

/** Our own insert wrote it. */
function fromReason(text: string): DeclineReason {
  return text as DeclineReason;
}
