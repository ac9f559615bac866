import { type Parsed, parsed, refused } from "@weft/foundation";

/** Some of one product. */
export interface Line {
  readonly productId: string;
  readonly quantity: number;
}

export type ReservationState = "held" | "committed" | "released" | "restocked";

/** Stock that is held for somebody. */
export interface Reservation {
  readonly reservationId: string;
  readonly state: ReservationState;
  readonly lines: readonly Line[];
  readonly createTime: Date;
}

/** How much there is of one product. */
export interface Stock {
  readonly productId: string;
  /** Can be reserved now. */
  readonly available: number;
  /** Held by reservations. */
  readonly held: number;
}

/** A product of which there is too little. */
export interface Shortage {
  readonly productId: string;
  readonly requested: number;
  readonly available: number;
}

/** How a caller names a reservation: by its id, or by the key that made it or may still come to. */
export type ReservationName =
  | { readonly t: "id"; readonly reservationId: string }
  | { readonly t: "key"; readonly reserveKey: string };

/** What can be done with a reservation. */
export type Ending = "commit" | "release" | "restock";

/** Where an ending may begin, and where it leads. */
const endings = {
  commit: { from: "held", to: "committed" },
  release: { from: "held", to: "released" },
  restock: { from: "committed", to: "restocked" },
} as const satisfies Record<Ending, { readonly from: ReservationState; readonly to: ReservationState }>;

/** What is, or was, made of a reservation by ending it. */
export type Ended = (typeof endings)[Ending]["to"];

/**
 * What an ending makes of a reservation.
 *
 *   held --commit--> committed --restock--> restocked (final)
 *     └──release──> released (final)
 */
export function endingOf(
  state: ReservationState,
  ending: Ending,
): { readonly t: "change"; readonly to: Ended } | { readonly t: "done-already" } | { readonly t: "forbidden" } {
  const { from, to } = endings[ending];
  if (state === to) return { t: "done-already" };
  return state === from ? { t: "change", to } : { t: "forbidden" };
}

/** The lines that stock cannot serve, in their order. */
export function shortagesOf(lines: readonly Line[], stocks: ReadonlyMap<string, Stock>): readonly Shortage[] {
  return lines.flatMap(({ productId, quantity }) => {
    const available = stocks.get(productId)?.available ?? 0;
    return quantity > available ? [{ productId, requested: quantity, available }] : [];
  });
}

const mostLines = 100;
const mostOfOne = 1_000;
const longestKey = 128;

/** Checks what is to be reserved: 1 to 100 products, each once, 1 to 1000 of each. */
export function parseLines(lines: readonly Line[]): Parsed<readonly Line[]> {
  const ids = parseProductIds(
    "lines",
    lines.map((line) => line.productId),
    ".product_id",
  );
  if (!ids.ok) return ids;
  for (const [index, { quantity }] of lines.entries()) {
    if (quantity < 1 || quantity > mostOfOne)
      return refused(`lines[${index}].quantity ${quantity}: must be 1 to ${mostOfOne}`);
  }
  return parsed(lines.map(({ productId, quantity }) => ({ productId, quantity })));
}

/** Checks a list of product ids: 1 to 100, each once. */
export function parseProductIds(field: string, ids: readonly string[], part = ""): Parsed<readonly string[]> {
  if (ids.length === 0 || ids.length > mostLines)
    return refused(`${field}: ${ids.length} of them, must be 1 to ${mostLines}`);
  const seen = new Set<string>();
  for (const [index, id] of ids.entries()) {
    const name = `${field}[${index}]${part} ${quoted(id)}`;
    if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(id))
      return refused(`${name}: must be lower-case letters and digits in parts joined by dashes`);
    if (seen.has(id)) return refused(`${name}: stands twice`);
    seen.add(id);
  }
  return parsed(ids);
}

/** Checks how a reservation is named: exactly one of the two. */
export function parseReservationName(name: {
  readonly reservationId: string;
  readonly reserveKey: string;
}): Parsed<ReservationName> {
  const { reservationId, reserveKey } = name;
  if ((reservationId === "") === (reserveKey === ""))
    return refused("reservation_id, reserve_key: exactly one of the two must be set");
  if (reserveKey.length > longestKey) return refused(`reserve_key: longer than ${longestKey} characters`);
  if (reserveKey !== "") return parsed({ t: "key", reserveKey });
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(reservationId)
    ? parsed({ t: "id", reservationId })
    : refused(`reservation_id ${quoted(reservationId)}: was not given by Reserve`);
}

/** A value in a message: never longer than a line. */
export function quoted(value: string): string {
  return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
}
