import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  HeaderValueOption_HeaderAppendAction as Append,
  type HeaderValueOptionSchema,
} from "@weft/contracts/envoy/config/core/v3";
import { type Parsed, parsed, refused } from "@weft/foundation";
import type { Header, RouteFilter } from "../model/route.js";

/** The header fields that Route and ClusterWeight share. */
export interface HeaderFields {
  readonly requestHeadersToAdd?: MessageInitShape<typeof HeaderValueOptionSchema>[];
  readonly requestHeadersToRemove?: string[];
  readonly responseHeadersToAdd?: MessageInitShape<typeof HeaderValueOptionSchema>[];
  readonly responseHeadersToRemove?: string[];
}

/** Turns the filters of a rule or a backend into header fields; refuses every other filter. */
export function compileFilters(filters: readonly RouteFilter[]): Parsed<HeaderFields> {
  let fields: HeaderFields = {};
  const seen = new Set<string>();
  for (const { type, change } of filters) {
    if (type !== "RequestHeaderModifier" && type !== "ResponseHeaderModifier") {
      return refused(`filter ${JSON.stringify(type)} is not supported`);
    }
    if (seen.has(type)) return refused(`filter ${JSON.stringify(type)} is given twice`);
    seen.add(type);
    if (change === undefined) return refused(`filter ${JSON.stringify(type)} says nothing`);
    const { set, add, remove } = change;
    const wrong = [...set.map(nameOf), ...add.map(nameOf), ...remove].find((name) => !isChangeable(name));
    if (wrong !== undefined)
      return refused(`filter ${JSON.stringify(type)}: header ${JSON.stringify(wrong)} can't be changed`);
    const unsendable = [...set, ...add].find(({ value }) => !/^[\x20-\x7e]*$/.test(value));
    if (unsendable !== undefined)
      return refused(
        `filter ${JSON.stringify(type)}: ${JSON.stringify(unsendable.value)} is no value of a gRPC header`,
      );
    const toAdd = [
      ...set.map((header) => option(header, Append.OVERWRITE_IF_EXISTS_OR_ADD)),
      ...add.map((header) => option(header, Append.APPEND_IF_EXISTS_OR_ADD)),
    ];
    const toRemove = remove.map((name) => name.toLowerCase());
    fields =
      type === "RequestHeaderModifier"
        ? { ...fields, requestHeadersToAdd: toAdd, requestHeadersToRemove: toRemove }
        : { ...fields, responseHeadersToAdd: toAdd, responseHeadersToRemove: toRemove };
  }
  return parsed(fields);
}

function option({ name, value }: Header, appendAction: Append): MessageInitShape<typeof HeaderValueOptionSchema> {
  return { header: { key: name.toLowerCase(), value }, appendAction };
}

function nameOf(header: Header): string {
  return header.name;
}

/** Names that belong to the protocol are not a route's to change, nor are bytes, nor the principal, which only the mesh sets. */
function isChangeable(name: string): boolean {
  const lower = name.toLowerCase();
  if (!/^[0-9a-z_.-]+$/.test(lower) || lower.endsWith("-bin") || lower.startsWith("grpc-")) return false;
  return !["host", "content-type", "te", "connection", "user-agent", "weft-user"].includes(lower);
}
