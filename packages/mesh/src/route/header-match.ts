import type { HeaderMatcher } from "@weft/contracts/envoy/config/route/v3";
import type { StringMatcher } from "@weft/contracts/envoy/type/matcher/v3";
import { type Parsed, parsed, refused } from "@weft/foundation";
import type { Metadata } from "@weft/wire";
import { compileRegex, type StringMatch } from "./string-match.js";

/** A compiled test of a call's metadata. */
export type HeaderMatch = (metadata: Metadata) => boolean;

/** Compiles a header matcher (gRFC A28). A header that is absent matches nothing but "not present" and an inverted test. */
export function compileHeaderMatch(matcher: HeaderMatcher): Parsed<HeaderMatch> {
  const name = matcher.name.toLowerCase();
  if (name === "") return refused("a header matcher names no header");
  if (matcher.$unknown !== undefined) return refused(`header ${JSON.stringify(name)}: the match is of an unknown kind`);
  const test = compileTest(matcher);
  if (!test.ok) return refused(`header ${JSON.stringify(name)}: ${test.error}`);
  const { value } = test;
  const { invertMatch } = matcher;
  return parsed((metadata) => value(headerText(metadata, name)) !== invertMatch);
}

type ValueTest = (value: string | undefined) => boolean;

function compileTest(matcher: HeaderMatcher): Parsed<ValueTest> {
  const specifier = matcher.headerMatchSpecifier;
  switch (specifier.case) {
    case "presentMatch": {
      const wanted = specifier.value;
      return parsed((value) => (value !== undefined) === wanted);
    }
    case "rangeMatch": {
      const { start, end } = specifier.value;
      return parsed((value) => {
        if (value === undefined || !/^[+-]?\d{1,19}$/.test(value)) return false;
        const number = BigInt(value);
        return number >= start && number < end;
      });
    }
    case "exactMatch":
      return parsed((value) => value === specifier.value);
    case "prefixMatch":
      return onText(specifier.value, (value) => value.startsWith(specifier.value));
    case "suffixMatch":
      return onText(specifier.value, (value) => value.endsWith(specifier.value));
    case "containsMatch":
      return onText(specifier.value, (value) => value.includes(specifier.value));
    case "safeRegexMatch":
      return ofRegex(compileRegex(specifier.value.regex));
    case "stringMatch":
      return ofRegex(compileStringMatcher(specifier.value));
    case undefined:
      return refused("no match is given, or one of an unknown kind");
  }
}

/** Compiles Envoy's string matcher. */
export function compileStringMatcher(matcher: StringMatcher): Parsed<StringMatch> {
  const pattern = matcher.matchPattern;
  if (pattern.case === undefined) return refused("no match is given, or one of an unknown kind");
  if (pattern.case === "safeRegex") {
    if (matcher.ignoreCase) return refused("ignore_case does not go with a regular expression");
    return compileRegex(pattern.value.regex);
  }
  if (pattern.case !== "exact" && pattern.value === "") return refused(`the ${pattern.case} is empty`);
  const fold = matcher.ignoreCase ? (text: string) => text.toLowerCase() : (text: string) => text;
  const wanted = fold(pattern.value);
  switch (pattern.case) {
    case "exact":
      return parsed((text) => fold(text) === wanted);
    case "prefix":
      return parsed((text) => fold(text).startsWith(wanted));
    case "suffix":
      return parsed((text) => fold(text).endsWith(wanted));
    case "contains":
      return parsed((text) => fold(text).includes(wanted));
  }
}

function onText(wanted: string, test: StringMatch): Parsed<ValueTest> {
  if (wanted === "") return refused("the text to match is empty");
  return parsed((value) => value !== undefined && test(value));
}

function ofRegex(match: Parsed<StringMatch>): Parsed<ValueTest> {
  if (!match.ok) return match;
  const test = match.value;
  return parsed((value) => value !== undefined && test(value));
}

/** The values of a header joined by commas, as HTTP reads a repeated header; binary headers are never matched (gRFC A28). */
export function headerText(metadata: Metadata, name: string): string | undefined {
  if (name.endsWith("-bin")) return undefined;
  if (name === "content-type") return "application/grpc";
  let joined: string | undefined;
  for (const [key, value] of metadata) {
    if (key !== name || typeof value !== "string") continue;
    joined = joined === undefined ? value : `${joined},${value}`;
  }
  return joined;
}
