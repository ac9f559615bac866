import { type Parsed, parsed, refused } from "@weft/foundation";

export type Speed = "standard" | "express";
export type Zone = "home" | "near" | "far";
export type LabelState = "created" | "handed-over" | "delivered" | "cancelled";
export type Currency = "EUR" | "USD";

/** Where a shipment goes. */
export interface Address {
  readonly recipient: string;
  readonly street: string;
  readonly city: string;
  readonly postalCode: string;
  readonly country: string;
}

/** The price of one way to send something; amounts are minor units of the currency. */
export interface Quote {
  readonly speed: Speed;
  readonly price: bigint;
  readonly parcels: number;
  readonly days: number;
}

/** What is to be sent. */
export interface Shipment {
  readonly address: Address;
  readonly weightGrams: bigint;
  readonly speed: Speed;
  readonly currency: Currency;
  readonly reference: string;
}

/** A shipment's label. */
export interface Label extends Shipment {
  readonly labelId: string;
  readonly state: LabelState;
  readonly trackingCode: string;
  readonly zone: Zone;
  readonly parcels: number;
  readonly price: bigint;
  readonly createTime: Date;
  readonly updateTime: Date;
}

/** How a caller names a label: by its id, or by the key that made it or may still come to. */
export type LabelName =
  | { readonly t: "id"; readonly labelId: string }
  | { readonly t: "key"; readonly labelKey: string };

/** The heaviest parcel. What weighs more goes in several. */
const parcelGrams = 20_000n;
const mostGrams = 2_000_000n;
/** Express flies, so it has fewer parcels to take. */
const mostExpressParcels = 3n;

interface Rate {
  /** For each parcel. */
  readonly base: bigint;
  /** For each kilogram of it, begun ones too. */
  readonly perKilogram: bigint;
  readonly days: number;
}

const near = new Set("AT BE BG CY CZ DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split(" "));
/** Where no plane of the carrier goes. */
const withoutExpress = new Set(["AQ", "BV", "HM", "PN", "TF", "GS"]);

/** Rates by zone and speed, in minor units of euros. */
const rates: Readonly<Record<Zone, Readonly<Record<Speed, Rate>>>> = {
  home: {
    standard: { base: 390n, perKilogram: 40n, days: 3 },
    express: { base: 990n, perKilogram: 90n, days: 1 },
  },
  near: {
    standard: { base: 890n, perKilogram: 90n, days: 6 },
    express: { base: 1_990n, perKilogram: 250n, days: 2 },
  },
  far: {
    standard: { base: 1_690n, perKilogram: 390n, days: 21 },
    express: { base: 3_990n, perKilogram: 990n, days: 5 },
  },
};

/** What a rate in euros costs in a currency, in hundredths: a price list, not an exchange. */
const hundredths: Readonly<Record<Currency, bigint>> = { EUR: 100n, USD: 110n };

/** How far a country is. */
export function zoneOf(country: string): Zone {
  if (country === "DE") return "home";
  return near.has(country) ? "near" : "far";
}

/** What each way costs that goes there with this weight, the cheapest first. */
export function quotesOf(order: {
  readonly country: string;
  readonly weightGrams: bigint;
  readonly currency: Currency;
}): readonly Quote[] {
  const { country, weightGrams, currency } = order;
  const zone = zoneOf(country);
  const parcels = (weightGrams + parcelGrams - 1n) / parcelGrams;
  const speeds: readonly Speed[] =
    withoutExpress.has(country) || parcels > mostExpressParcels ? ["standard"] : ["standard", "express"];
  return speeds.map((speed) => {
    const { base, perKilogram, days } = rates[zone][speed];
    // All parcels but the last are full.
    const last = weightGrams - (parcels - 1n) * parcelGrams;
    const kilograms = (parcels - 1n) * (parcelGrams / 1_000n) + (last + 999n) / 1_000n;
    const euros = parcels * base + kilograms * perKilogram;
    return { speed, price: (euros * hundredths[currency] + 99n) / 100n, parcels: Number(parcels), days };
  });
}

/**
 * What a scan makes of a label.
 *
 *   created ──> handed-over ──> delivered (final)
 *     └── cancel ──> cancelled (final)
 */
export function scanOf(
  state: LabelState,
  scanned: "handed-over" | "delivered",
): "change" | "done-already" | "cancelled" {
  if (state === "cancelled") return "cancelled";
  if (state === "delivered" || state === scanned) return "done-already";
  return "change";
}

/** What cancelling makes of a label. */
export function cancelOf(state: LabelState): "change" | "done-already" | "shipped" {
  if (state === "created") return "change";
  return state === "cancelled" ? "done-already" : "shipped";
}

/** Checks what a quote is asked for. */
export function parseQuestion(question: {
  readonly country: string;
  readonly weightGrams: bigint;
  readonly currency: string;
}): Parsed<{ readonly country: string; readonly weightGrams: bigint; readonly currency: Currency }> {
  const country = parseCountry("country", question.country);
  if (!country.ok) return country;
  const { weightGrams, currency } = question;
  if (weightGrams < 1n || weightGrams > mostGrams)
    return refused(`weight_grams ${weightGrams}: must be 1 to ${mostGrams}`);
  if (currency !== "EUR" && currency !== "USD") return refused(`currency ${quoted(currency)}: must be EUR or USD`);
  return parsed({ country: country.value, weightGrams, currency });
}

/** Checks an address. What it says is not repeated: it is somebody's. */
export function parseAddress(address: Address | undefined): Parsed<Address> {
  if (address === undefined) return refused("address: must be set");
  const { recipient, street, city, postalCode } = address;
  for (const [name, line] of Object.entries({ recipient, street, city })) {
    if (line.trim() === "" || line.length > 100) return refused(`address.${name}: must have 1 to 100 characters`);
  }
  if (postalCode.length > 20) return refused("address.postal_code: must have at most 20 characters");
  const country = parseCountry("address.country", address.country);
  return country.ok ? parsed({ recipient, street, city, postalCode, country: country.value }) : country;
}

function parseCountry(field: string, country: string): Parsed<string> {
  return /^[A-Z]{2}$/.test(country)
    ? parsed(country)
    : refused(`${field} ${quoted(country)}: must be two capital letters (ISO 3166-1)`);
}

/** Checks what a label is for. */
export function parseReference(reference: string): Parsed<string> {
  return /^[\w-]{0,64}$/.test(reference)
    ? parsed(reference)
    : refused(`reference ${quoted(reference)}: must be at most 64 letters, digits, dashes and underscores`);
}

const longestKey = 128;

/** Checks how a label is named: exactly one of the two. */
export function parseLabelName(name: { readonly labelId: string; readonly labelKey: string }): Parsed<LabelName> {
  const { labelId, labelKey } = name;
  if ((labelId === "") === (labelKey === "")) return refused("label_id, label_key: exactly one of the two must be set");
  if (labelKey.length > longestKey) return refused(`label_key: longer than ${longestKey} characters`);
  if (labelKey !== "") return parsed({ t: "key", labelKey });
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(labelId)
    ? parsed({ t: "id", labelId })
    : refused(`label_id ${quoted(labelId)}: was not given by CreateLabel`);
}

/** A value in a message: never longer than a line. */
export function quoted(value: string): string {
  return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
}
