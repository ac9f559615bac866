import { type DescField, type DescMessage, getOption } from "@bufbuild/protobuf";
import { sensitive } from "@weft/contracts/weft/options/v1";

/** True when the message, or one within it, has a field marked `sensitive`. */
export function holdsSensitive(message: DescMessage, seen: Set<string> = new Set()): boolean {
  if (seen.has(message.typeName)) return false;
  seen.add(message.typeName);
  return message.fields.some((field) => {
    if (getOption(field, sensitive)) return true;
    const inner = messageOf(field);
    return inner !== undefined && holdsSensitive(inner, seen);
  });
}

function messageOf(field: DescField): DescMessage | undefined {
  if (field.fieldKind === "message") return field.message;
  if (field.fieldKind === "list" && field.listKind === "message") return field.message;
  if (field.fieldKind === "map" && field.mapKind === "message") return field.message;
  return undefined;
}
