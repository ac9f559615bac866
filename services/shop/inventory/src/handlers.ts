import type { MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import type { CallContext, Handlers } from "@weft/chassis";
import {
  InventoryService,
  OutOfStockDetailSchema,
  type ReservationSchema,
  ReservationUndoneDetailSchema,
  ReservationState as WireState,
} from "@weft/contracts/shop/inventory/v1";
import type { Parsed } from "@weft/foundation";
import type { Idempotency, Transaction } from "@weft/store";
import {
  type Ending,
  endingOf,
  type Line,
  parseLines,
  parseProductIds,
  parseReservationName,
  quoted,
  type Reservation,
  type ReservationName,
  type Shortage,
  shortagesOf,
} from "./domain.js";
import type { InventoryStore, StoredReservation } from "./store.js";

export interface HandlerParts {
  readonly store: InventoryStore;
  readonly idempotency: Idempotency;
}

const { reserve, release, commit, restock } = InventoryService.method;

/** The inventory's methods over its store. */
export function createHandlers({ store, idempotency }: HandlerParts): Handlers<typeof InventoryService> {
  const hold = async (
    tx: Transaction,
    principal: string,
    reserveKey: string,
    lines: readonly Line[],
  ): Promise<Reservation> => {
    // Before the stock: whoever releases holds the key first, too.
    if (!(await store.takeKey(tx, principal, reserveKey))) throw undone(reserveKey);
    const stocks = await store.lockStock(
      tx,
      lines.map((line) => line.productId),
    );
    const unknown = lines.find((line) => !stocks.has(line.productId));
    if (unknown !== undefined)
      throw new ConnectError(`product ${quoted(unknown.productId)} is not in the inventory`, Code.NotFound);
    const shortages = shortagesOf(lines, stocks);
    if (shortages.length > 0) throw outOfStock(shortages);
    return store.hold(tx, { principal, reserveKey, lines });
  };

  /** Commits, releases or restocks; whoever comes second finds it done, or forbidden by another ending. */
  const end = async (tx: Transaction, reservation: StoredReservation, ending: Ending): Promise<Reservation> => {
    const { reservationId: id, principal, reserveKey } = reservation;
    const made = endingOf(reservation.state, ending);
    switch (made.t) {
      case "done-already":
        return reservation;
      case "forbidden":
        throw new ConnectError(
          `reservation ${quoted(id)} is ${reservation.state}: it cannot be ${pastOf[ending]}`,
          Code.FailedPrecondition,
        );
      case "change":
        // What was held is undone, so the request that held it is forgotten: the key is free, or its next use finds it forbidden.
        if (ending === "release") await idempotency.forget(tx, { method: reserve, principal, key: reserveKey });
        return store.end(tx, reservation, made.to);
    }
  };

  /** Releases by id, or by key: then the key is forbidden, whether anything was reserved under it or not. */
  const undo = async (tx: Transaction, principal: string, name: ReservationName): Promise<WireReservation> => {
    const reservation = await (name.t === "key"
      ? store.forbidKey(tx, principal, name.reserveKey)
      : store.lockReservation(tx, principal, name));
    if (reservation !== undefined) return toMessage(await end(tx, reservation, "release"));
    return name.t === "key" ? undoneMessage : missing(name);
  };

  return {
    async reserve(request, context) {
      const lines = valid(parseLines(request.lines));
      return idempotency.run({ method: reserve, request, ...callerOf(context) }, async (tx) => {
        const reservation = await hold(tx, context.user, request.idempotencyKey, lines);
        return create(reserve.output, { reservation: toMessage(reservation) });
      });
    },

    async release(request, context) {
      const name = valid(parseReservationName(request));
      return idempotency.run({ method: release, request, ...callerOf(context) }, async (tx) =>
        create(release.output, { reservation: await undo(tx, context.user, name) }),
      );
    },

    async commit(request, context) {
      const name = valid(parseReservationName(request));
      return idempotency.run({ method: commit, request, ...callerOf(context) }, async (tx) => {
        const reservation = (await store.lockReservation(tx, context.user, name)) ?? missing(name);
        return create(commit.output, { reservation: toMessage(await end(tx, reservation, "commit")) });
      });
    },

    async restock(request, context) {
      const name = valid(parseReservationName(request));
      return idempotency.run({ method: restock, request, ...callerOf(context) }, async (tx) => {
        const reservation = (await store.lockReservation(tx, context.user, name)) ?? missing(name);
        return create(restock.output, { reservation: toMessage(await end(tx, reservation, "restock")) });
      });
    },

    async getReservation(request, context) {
      const name = valid(parseReservationName(request));
      const found = (await store.find(context.user, name, context)) ?? missing(name);
      return { reservation: found === "forbidden" ? undoneMessage : toMessage(found) };
    },

    async getStock(request, context) {
      const ids = valid(parseProductIds("product_ids", request.productIds));
      const stocks = await store.stockOf(ids, context);
      const known = new Set(stocks.map((stock) => stock.productId));
      const unknown = ids.find((id) => !known.has(id));
      if (unknown !== undefined)
        throw new ConnectError(`product ${quoted(unknown)} is not in the inventory`, Code.NotFound);
      return { stocks: stocks.map((stock) => ({ ...stock })) };
    },
  };
}

function callerOf(context: CallContext): { readonly principal: string; readonly bounds: CallContext } {
  return { principal: context.user, bounds: context };
}

type WireReservation = MessageInitShape<typeof ReservationSchema>;

/** What a key that was forbidden before it was used looks like. */
const undoneMessage: WireReservation = { reservationId: "", state: WireState.RELEASED, lines: [] };

function missing(name: ReservationName): never {
  const text = name.t === "id" ? `reservation ${quoted(name.reservationId)}` : `reserve_key ${quoted(name.reserveKey)}`;
  throw new ConnectError(`${text} does not exist`, Code.NotFound);
}

function undone(reserveKey: string): ConnectError {
  return new ConnectError(
    `idempotency_key ${quoted(reserveKey)}: what it was to reserve is released already`,
    Code.FailedPrecondition,
    undefined,
    [{ desc: ReservationUndoneDetailSchema, value: {} }],
  );
}

function outOfStock(shortages: readonly Shortage[]): ConnectError {
  const text = shortages
    .map((short) => `${quoted(short.productId)}: ${short.requested} asked for, ${short.available} left`)
    .join("; ");
  const detail = { desc: OutOfStockDetailSchema, value: { shortages: shortages.map((short) => ({ ...short })) } };
  return new ConnectError(`out of stock: ${text}`, Code.FailedPrecondition, undefined, [detail]);
}

function valid<T>(value: Parsed<T>): T {
  if (!value.ok) throw new ConnectError(value.error, Code.InvalidArgument);
  return value.value;
}

const pastOf = { commit: "committed", release: "released", restock: "restocked" } as const;

const wireStates = {
  held: WireState.HELD,
  committed: WireState.COMMITTED,
  released: WireState.RELEASED,
  restocked: WireState.RESTOCKED,
} as const;

function toMessage(reservation: Reservation): WireReservation {
  return {
    reservationId: reservation.reservationId,
    state: wireStates[reservation.state],
    lines: reservation.lines.map((line) => ({ ...line })),
    createTime: timestampFromDate(reservation.createTime),
  };
}
