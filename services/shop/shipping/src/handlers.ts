import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import type { CallContext, Handlers } from "@weft/chassis";
import {
  type LabelSchema,
  ShippingRefusalReason,
  ShippingRefusedDetailSchema,
  ShippingService,
  ShippingSpeed as WireSpeed,
  LabelState as WireState,
  ShippingZone as WireZone,
} from "@weft/contracts/shop/shipping/v1";
import type { Parsed } from "@weft/foundation";
import type { Idempotency, Transaction } from "@weft/store";
import {
  cancelOf,
  type Label,
  type LabelName,
  parseAddress,
  parseLabelName,
  parseQuestion,
  parseReference,
  quoted,
  quotesOf,
  type Shipment,
  type Speed,
  scanOf,
  zoneOf,
} from "./domain.js";
import type { LabelStore, StoredLabel } from "./store.js";

export interface HandlerParts {
  readonly store: LabelStore;
  readonly idempotency: Idempotency;
}

const { createLabel, cancelLabel, recordScan } = ShippingService.method;

/** Shipping's methods over its store. */
export function createHandlers({ store, idempotency }: HandlerParts): Handlers<typeof ShippingService> {
  const make = async (tx: Transaction, principal: string, labelKey: string, shipment: Shipment): Promise<Label> => {
    const { country } = shipment.address;
    const quote = quotesOf({ ...shipment, country }).find((one) => one.speed === shipment.speed);
    if (quote === undefined)
      throw refusal("NO_SERVICE", `no ${shipment.speed} service takes this weight to ${quoted(country)}`);
    const taken = await store.takeKey(tx, principal, labelKey);
    switch (taken.t) {
      case "forbidden":
        throw refusal("CANCELLED", "the label was cancelled before it was made");
      case "known": {
        // Remembered longer than the idempotency key.
        const label = (await store.lock(tx, principal, { t: "key", labelKey })) ?? missing({ t: "key", labelKey });
        if (!sameShipment(label, shipment))
          throw new ConnectError(
            `idempotency_key ${quoted(labelKey)}: used already for another request`,
            Code.AlreadyExists,
          );
        if (label.state === "cancelled") throw refusal("CANCELLED", "the label was cancelled", label.labelId);
        return label;
      }
      case "new":
        return store.make(tx, { ...taken, principal, labelKey, shipment, zone: zoneOf(country), quote });
    }
  };

  const cancel = async (tx: Transaction, principal: string, name: LabelName): Promise<Label | "forbidden"> => {
    if (name.t === "key" && !(await store.forbidKey(tx, principal, name.labelKey))) return "forbidden";
    const label = await locked(tx, principal, name);
    switch (cancelOf(label.state)) {
      case "done-already":
        return label;
      case "shipped":
        throw refusal("SHIPPED", "the carrier has the shipment already", label.labelId);
      case "change":
        // The request that made it is forgotten: sent again, it finds its label cancelled.
        await idempotency.forget(tx, { method: createLabel, principal, key: label.labelKey });
        return store.move(tx, label.labelId, "cancelled");
    }
  };

  const scan = async (
    tx: Transaction,
    principal: string,
    name: LabelName,
    scanned: "handed-over" | "delivered",
  ): Promise<Label> => {
    const label = await locked(tx, principal, name);
    switch (scanOf(label.state, scanned)) {
      case "done-already":
        return label;
      case "cancelled":
        throw refusal("CANCELLED", "the label was cancelled", label.labelId);
      case "change":
        return store.move(tx, label.labelId, scanned);
    }
  };

  const locked = async (tx: Transaction, principal: string, name: LabelName): Promise<StoredLabel> =>
    (await store.lock(tx, principal, name)) ?? missing(name);

  return {
    getQuote(request) {
      const question = valid(parseQuestion(request));
      return {
        zone: wireZones[zoneOf(question.country)],
        quotes: quotesOf(question).map(({ speed, price, parcels, days }) => ({
          speed: wireSpeeds[speed],
          price: { minorUnits: price, currency: question.currency },
          parcels,
          days,
        })),
      };
    },

    async createLabel(request, context) {
      const address = valid(parseAddress(request.address));
      const { weightGrams, currency } = valid(parseQuestion({ ...request, country: address.country }));
      const reference = valid(parseReference(request.reference));
      const shipment = { address, weightGrams, currency, reference, speed: speedOf(request.speed) };
      return idempotency.run({ method: createLabel, request, ...callerOf(context) }, async (tx) =>
        create(createLabel.output, {
          label: toMessage(await make(tx, context.user, request.idempotencyKey, shipment)),
        }),
      );
    },

    async cancelLabel(request, context) {
      const name = valid(parseLabelName(request));
      return idempotency.run({ method: cancelLabel, request, ...callerOf(context) }, async (tx) => {
        const label = await cancel(tx, context.user, name);
        return create(cancelLabel.output, { label: label === "forbidden" ? cancelledMessage : toMessage(label) });
      });
    },

    async recordScan(request, context) {
      const name = valid(parseLabelName(request));
      const scanned = scannedState(request.state);
      return idempotency.run({ method: recordScan, request, ...callerOf(context) }, async (tx) =>
        create(recordScan.output, { label: toMessage(await scan(tx, context.user, name, scanned)) }),
      );
    },

    async getLabel(request, context) {
      const name = valid(parseLabelName(request));
      const found = (await store.find(context.user, name, context)) ?? missing(name);
      return { label: found === "forbidden" ? cancelledMessage : toMessage(found) };
    },
  };
}

/** What a key that was forbidden before it was used looks like. */
const cancelledMessage: MessageInitShape<typeof LabelSchema> = { labelId: "", state: WireState.CANCELLED };

function sameShipment(label: Label, shipment: Shipment): boolean {
  const plain = ({ address, weightGrams, speed, currency, reference }: Shipment): string =>
    JSON.stringify([
      [address.recipient, address.street, address.city, address.postalCode, address.country],
      weightGrams.toString(),
      speed,
      currency,
      reference,
    ]);
  return plain(label) === plain(shipment);
}

function callerOf(context: CallContext): { readonly principal: string; readonly bounds: CallContext } {
  return { principal: context.user, bounds: context };
}

function valid<T>(value: Parsed<T>): T {
  if (!value.ok) throw new ConnectError(value.error, Code.InvalidArgument);
  return value.value;
}

/** Refused for good: FAILED_PRECONDITION with a ShippingRefusedDetail. */
function refusal(reason: "CANCELLED" | "SHIPPED" | "NO_SERVICE", text: string, labelId = ""): ConnectError {
  const detail = { desc: ShippingRefusedDetailSchema, value: { reason: ShippingRefusalReason[reason], labelId } };
  return new ConnectError(text, Code.FailedPrecondition, undefined, [detail]);
}

function missing(name: LabelName): never {
  const text = name.t === "id" ? `label ${quoted(name.labelId)}` : `label_key ${quoted(name.labelKey)}`;
  throw new ConnectError(`${text} does not exist`, Code.NotFound);
}

const wireSpeeds = { standard: WireSpeed.STANDARD, express: WireSpeed.EXPRESS } as const;
const wireZones = { home: WireZone.HOME, near: WireZone.NEAR, far: WireZone.FAR } as const;
const wireStates = {
  created: WireState.CREATED,
  "handed-over": WireState.HANDED_OVER,
  delivered: WireState.DELIVERED,
  cancelled: WireState.CANCELLED,
} as const;

function speedOf(speed: WireSpeed): Speed {
  switch (speed) {
    case WireSpeed.UNSPECIFIED:
    case WireSpeed.STANDARD:
      return "standard";
    case WireSpeed.EXPRESS:
      return "express";
    default:
      throw new ConnectError(`speed ${String(speed)}: is not known`, Code.InvalidArgument);
  }
}

function scannedState(state: WireState): "handed-over" | "delivered" {
  if (state === WireState.HANDED_OVER) return "handed-over";
  if (state === WireState.DELIVERED) return "delivered";
  throw new ConnectError("state: must be HANDED_OVER or DELIVERED", Code.InvalidArgument);
}

function toMessage(label: Label): MessageInitShape<typeof LabelSchema> {
  return {
    labelId: label.labelId,
    state: wireStates[label.state],
    trackingCode: label.trackingCode,
    speed: wireSpeeds[label.speed],
    zone: wireZones[label.zone],
    weightGrams: label.weightGrams,
    parcels: label.parcels,
    price: { minorUnits: label.price, currency: label.currency },
    reference: label.reference,
    address: { ...label.address },
    createTime: timestampFromDate(label.createTime),
    updateTime: timestampFromDate(label.updateTime),
  };
}
