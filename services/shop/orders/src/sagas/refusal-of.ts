import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { OutOfStockDetailSchema } from "@weft/contracts/shop/inventory/v1";
import { OrderRefusalSchema } from "@weft/contracts/shop/orders/v1";
import { RefusalReason as PaymentReason, PaymentRefusedDetailSchema } from "@weft/contracts/shop/payments/v1";
import { classifyError, failureError, type SagaFailure } from "@weft/saga";
import type { Refusal, RefusalReason } from "../domain.js";
import { fromWireReason, toRefusalMessage } from "../messages.js";

/** An error of a step that turns the order down by itself, and says why in the order's own terms. */
export function refusedStep(code: Code, refusal: Omit<Refusal, "shortages">): ConnectError {
  const error = new ConnectError(refusal.message, code);
  const value: MessageInitShape<typeof OrderRefusalSchema> = toRefusalMessage({ ...refusal, shortages: [] });
  // As a detail that has arrived, since only those are kept with the saga.
  error.details = [
    { type: OrderRefusalSchema.typeName, value: toBinary(OrderRefusalSchema, create(OrderRefusalSchema, value)) },
  ];
  return error;
}

/** Why an order came to nothing, from why its saga turned back; nothing when it was cancelled. */
export function refusalOf(failure: SagaFailure): Refusal | undefined {
  if (failure.step === "") return undefined;
  const error = failureError(failure);
  const [own] = error.findDetails(OrderRefusalSchema);
  if (own !== undefined) return { reason: fromWireReason(own.reason), message: own.message, shortages: [] };
  if (classifyError(error) !== "refused")
    return refusal("unavailable", `a service that is needed was away for too long, at the step ${failure.step}`);
  switch (failure.step) {
    case "reserve":
      return outOfStock(error) ?? refusal("invalid", error.rawMessage);
    case "authorize":
    case "challenge":
    case "capture":
      return refusal(paymentReason(error), error.rawMessage);
    case "label":
      return refusal(error.code === Code.FailedPrecondition ? "not-deliverable" : "invalid", error.rawMessage);
    default:
      return refusal("invalid", error.rawMessage);
  }
}

function refusal(reason: RefusalReason, message: string): Refusal {
  return { reason, message, shortages: [] };
}

function outOfStock(error: ConnectError): Refusal | undefined {
  const shortages = error
    .findDetails(OutOfStockDetailSchema)
    .flatMap((detail) => detail.shortages)
    .map(({ productId, requested, available }) => ({ productId, requested, available }));
  return shortages.length === 0 ? undefined : { reason: "out-of-stock", message: error.rawMessage, shortages };
}

function paymentReason(error: ConnectError): RefusalReason {
  switch (error.findDetails(PaymentRefusedDetailSchema)[0]?.reason) {
    case PaymentReason.CARD_DECLINED:
    case PaymentReason.CHALLENGE_FAILED:
      return "card-declined";
    case PaymentReason.INSUFFICIENT_FUNDS:
      return "insufficient-funds";
    default:
      return "payment-refused";
  }
}
