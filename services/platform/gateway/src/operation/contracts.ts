import type { DescFile, DescMessage, DescService } from "@bufbuild/protobuf";
import { CartService } from "@weft/contracts/shop/cart/v1";
import { CatalogService } from "@weft/contracts/shop/catalog/v1";
import { InventoryService } from "@weft/contracts/shop/inventory/v1";
import { OrderService } from "@weft/contracts/shop/orders/v1";
import { PaymentService } from "@weft/contracts/shop/payments/v1";
import { ShippingService } from "@weft/contracts/shop/shipping/v1";

/** The services whose public methods the gateway offers. */
export const shopServices: readonly DescService[] = [
  CartService,
  CatalogService,
  InventoryService,
  OrderService,
  PaymentService,
  ShippingService,
];

/** Every message that the contracts of these services declare, or that those import: what the public may know of. */
export function contractMessages(services: readonly DescService[]): ReadonlySet<string> {
  const names = new Set<string>();
  const seen = new Set<string>();
  const readFile = (file: DescFile): void => {
    if (seen.has(file.name)) return;
    seen.add(file.name);
    for (const message of file.messages) readMessage(message);
    for (const dependency of file.dependencies) readFile(dependency);
  };
  const readMessage = (message: DescMessage): void => {
    names.add(message.typeName);
    for (const nested of message.nestedMessages) readMessage(nested);
  };
  for (const service of services) readFile(service.file);
  return names;
}
