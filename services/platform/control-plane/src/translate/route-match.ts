import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type HeaderMatcherSchema,
  type RouteMatch as Match,
  RouteMatchSchema,
} from "@weft/contracts/envoy/config/route/v3";
import { type Parsed, parsed, refused } from "@weft/foundation";
import { RE2JS } from "re2js";
import type { HeaderMatch, MethodMatch, RouteMatch } from "../model/route.js";

/** A match as it is sent, and what is needed to compare it with others. */
export interface CompiledMatch {
  readonly message: Match;
  /** Equal for matches that take the same calls. */
  readonly identity: string;
  /** Higher numbers go first, compared in this order (Gateway API, GRPCRouteRule.matches). */
  readonly precedence: readonly number[];
}

interface PathMatch {
  readonly specifier: NonNullable<MessageInitShape<typeof RouteMatchSchema>["pathSpecifier"]>;
  readonly identity: string;
  readonly serviceChars: number;
  readonly methodChars: number;
  readonly patternChars: number;
}

/** What the mesh's clients compile at the most. Characters. */
const maxExpressionLength = 4_096;

/** Any one part of a gRPC path. */
const anyPart = "[^/]+";

/** Turns a match into Envoy's; refuses what can't be matched as written. */
export function compileMatch(match: RouteMatch): Parsed<CompiledMatch> {
  const path = compilePath(match.method);
  if (!path.ok) return path;
  const headers: { readonly identity: string; readonly matcher: MessageInitShape<typeof HeaderMatcherSchema> }[] = [];
  const seen = new Set<string>();
  for (const header of match.headers) {
    const name = header.name.toLowerCase();
    // Gateway API: of several matches of one header the first counts.
    if (seen.has(name)) continue;
    seen.add(name);
    const compiled = compileHeader(name, header);
    if (!compiled.ok) return compiled;
    headers.push({ identity: `${name} ${header.type} ${header.value}`, matcher: compiled.value });
  }
  const { specifier, identity, serviceChars, methodChars, patternChars } = path.value;
  return parsed({
    message: create(RouteMatchSchema, { pathSpecifier: specifier, headers: headers.map(({ matcher }) => matcher) }),
    identity: JSON.stringify([identity, ...headers.map((header) => header.identity).sort()]),
    precedence: [serviceChars, methodChars, patternChars, headers.length],
  });
}

function compilePath(method: MethodMatch | undefined): Parsed<PathMatch> {
  const service = method?.service || undefined;
  const name = method?.method || undefined;
  if (method === undefined || (service === undefined && name === undefined)) {
    return path({ case: "prefix", value: "/" }, {});
  }
  switch (method.type) {
    case "Exact":
      if (service === undefined) {
        const regex = `/${anyPart}/${RE2JS.quote(name ?? "")}`;
        return path({ case: "safeRegex", value: { regex } }, { methodChars: name?.length ?? 0 });
      }
      return name === undefined
        ? path({ case: "prefix", value: `/${service}/` }, { serviceChars: service.length })
        : path(
            { case: "path", value: `/${service}/${name}` },
            { serviceChars: service.length, methodChars: name.length },
          );
    case "RegularExpression": {
      for (const [what, part] of [
        ["method.service", service],
        ["method.method", name],
      ] as const) {
        const wrong = part === undefined ? undefined : regexProblem(part);
        if (wrong !== undefined) return refused(`${what} ${JSON.stringify(part)} is no regular expression: ${wrong}`);
      }
      const regex = `/${service === undefined ? anyPart : `(?:${service})`}/${name === undefined ? anyPart : `(?:${name})`}`;
      // Parts that are well each for itself need not be so together: a quotation need not be closed.
      const wrong = regexProblem(regex);
      if (wrong !== undefined) return refused(`method: ${JSON.stringify(regex)} is no regular expression: ${wrong}`);
      return path(
        { case: "safeRegex", value: { regex } },
        { patternChars: (service ?? "").length + (name ?? "").length },
      );
    }
    default:
      return refused(`method.type ${JSON.stringify(method.type)} is not known`);
  }
}

function path(
  specifier: PathMatch["specifier"],
  chars: Partial<Omit<PathMatch, "specifier" | "identity">>,
): Parsed<PathMatch> {
  const { serviceChars = 0, methodChars = 0, patternChars = 0 } = chars;
  return parsed({ specifier, identity: JSON.stringify(specifier), serviceChars, methodChars, patternChars });
}

function compileHeader(name: string, header: HeaderMatch): Parsed<MessageInitShape<typeof HeaderMatcherSchema>> {
  if (!/^[0-9a-z_.-]+$/.test(name)) return refused(`header ${JSON.stringify(header.name)} is no name of a gRPC header`);
  if (name.endsWith("-bin")) return refused(`header ${JSON.stringify(name)} is binary, which can't be matched`);
  switch (header.type) {
    case "Exact":
      return parsed(stringMatch(name, { case: "exact", value: header.value }));
    case "RegularExpression": {
      const wrong = regexProblem(header.value);
      return wrong === undefined
        ? parsed(stringMatch(name, { case: "safeRegex", value: { regex: header.value } }))
        : refused(`header ${JSON.stringify(name)}: ${JSON.stringify(header.value)} is no regular expression: ${wrong}`);
    }
    default:
      return refused(`header ${JSON.stringify(name)}: type ${JSON.stringify(header.type)} is not known`);
  }
}

function stringMatch(
  name: string,
  matchPattern:
    | { readonly case: "exact"; readonly value: string }
    | { readonly case: "safeRegex"; readonly value: { readonly regex: string } },
): MessageInitShape<typeof HeaderMatcherSchema> {
  return { name, headerMatchSpecifier: { case: "stringMatch", value: { matchPattern } } };
}

/** What is wrong with an RE2 expression; clients must never meet one that does not compile. */
function regexProblem(expression: string): string | undefined {
  if (expression.length > maxExpressionLength) return `it is longer than ${maxExpressionLength} characters`;
  try {
    RE2JS.compile(expression);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
