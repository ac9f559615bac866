import { type DescField, type DescMessage, getOption } from "@bufbuild/protobuf";
import { sensitive } from "@weft/contracts/weft/options/v1";

/** True when the message, or one within it, has a field marked `sensitive`. */
export function holdsSensitive(message: DescMessage): boolean {
  const seen = new Set<string>();
  const visit = (current: DescMessage): boolean => {
    if (seen.has(current.typeName)) return false;
    seen.add(current.typeName);
    return current.fields.some((field) => {
      const inner = innerMessage(field);
      return getOption(field, sensitive) || (inner !== undefined && visit(inner));
    });
  };
  return visit(message);
}

function innerMessage(field: DescField): DescMessage | undefined {
  switch (field.fieldKind) {
    case "message":
      return field.message;
    case "list":
    case "map":
      return field.message;
    default:
      return undefined;
  }
}
