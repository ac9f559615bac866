import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import type { CatalogService, ProductSchema } from "@weft/contracts/shop/catalog/v1";
import type { Parsed } from "@weft/foundation";
import {
  type Product,
  pageTokenAfter,
  parsePageToken,
  parseProductId,
  parseProductIds,
  parseQuery,
  parseSize,
} from "./domain.js";
import type { ProductStore } from "./store.js";

/** The catalog's methods over its store. */
export function createHandlers({ store }: { readonly store: ProductStore }): ServiceImpl<typeof CatalogService> {
  return {
    async getProduct(request, context) {
      const id = valid(parseProductId("product_id", request.productId));
      const [product] = await store.find([id], context);
      if (product === undefined) throw new ConnectError(`product ${JSON.stringify(id)} does not exist`, Code.NotFound);
      return { product: toMessage(product) };
    },

    async batchGetProducts(request, context) {
      const ids = valid(parseProductIds("product_ids", request.productIds));
      const products = await store.find(ids, context);
      const found = new Set(products.map((product) => product.productId));
      return { products: products.map(toMessage), missingProductIds: ids.filter((id) => !found.has(id)) };
    },

    async listProducts(request, context) {
      const limit = valid(parseSize("page_size", request.pageSize, { fallback: 20, max: 100 }));
      const after = valid(parsePageToken(request.pageToken));
      // One more than asked for tells whether there is a next page.
      const found = await store.list({ limit: limit + 1, after, category: request.category }, context);
      const page = found.slice(0, limit);
      const last = page.at(-1);
      const more = found.length > limit && last !== undefined;
      return { products: page.map(toMessage), nextPageToken: more ? pageTokenAfter(last.productId) : "" };
    },

    async *searchProducts(request, context) {
      const limit = valid(parseSize("limit", request.limit, { fallback: 50, max: 200 }));
      const words = valid(parseQuery(request.query));
      for (const { product, score } of await store.search(words, limit, context)) {
        if (context.signal.aborted) return;
        yield { product: toMessage(product), score };
      }
    },
  };
}

function valid<T>(value: Parsed<T>): T {
  if (!value.ok) throw new ConnectError(value.error, Code.InvalidArgument);
  return value.value;
}

function toMessage(product: Product): MessageInitShape<typeof ProductSchema> {
  return { ...product, prices: product.prices.map((price) => ({ ...price })) };
}
