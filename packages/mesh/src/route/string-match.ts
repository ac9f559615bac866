import { type Parsed, parsed, refused } from "@weft/foundation";
import { RE2JS } from "re2js";

/** A compiled test of a text. */
export type StringMatch = (text: string) => boolean;

/** Longest pattern that is compiled: the size of the automaton grows with it. Characters. */
const maxPatternLength = 4_096;

/**
 * Compiles a regular expression that must match the whole text. It runs in a linear-time engine (RE2's syntax):
 * a pattern from configuration never reaches JavaScript's own, which can take exponential time.
 */
export function compileRegex(pattern: string): Parsed<StringMatch> {
  if (pattern === "") return refused("the regular expression is empty");
  if (pattern.length > maxPatternLength)
    return refused(`the regular expression is longer than ${maxPatternLength} characters`);
  try {
    const compiled = RE2JS.compile(pattern);
    return parsed((text) => compiled.testExact(text));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return refused(`regular expression ${JSON.stringify(pattern)}: ${reason}`);
  }
}
