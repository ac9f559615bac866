import { type Parsed, parsed, refused } from "@weft/foundation";
import type { TraceQuery } from "../store/find-traces.js";

const defaultLimit = 100;
const maxLimit = 1_500;
const defaultLookbackUs = 48 * 3_600_000_000;
const unitUs: Readonly<Record<string, number>> = {
  ns: 1e-3,
  us: 1,
  µs: 1,
  ms: 1e3,
  s: 1e6,
  m: 60e6,
  h: 3_600e6,
  d: 86_400e6,
};

/** Reads the search parameters of `/api/traces`. The error names the parameter and what it should be. */
export function parseTraceQuery(params: URLSearchParams, nowUs: number): Parsed<TraceQuery> {
  const service = params.get("service") ?? "";
  if (service === "") return refused("parameter 'service' is required");
  const operation = params.get("operation") ?? "";
  const end = micros(params, "end");
  const start = micros(params, "start");
  const lookback = duration(params, "lookback");
  const min = duration(params, "minDuration");
  const max = duration(params, "maxDuration");
  const limit = parseLimit(params);
  const tags = parseTags(params);
  for (const read of [start, end, lookback, min, max, limit, tags]) if (!read.ok) return read;
  if (!(end.ok && start.ok && lookback.ok && min.ok && max.ok && limit.ok && tags.ok)) return refused("unreadable");
  if (min.value !== undefined && max.value !== undefined && max.value < min.value)
    return refused("'maxDuration' should be greater than 'minDuration'");
  const endUs = end.value ?? nowUs;
  return parsed({
    service,
    ...(operation === "" || operation === "all" ? {} : { operation }),
    tags: tags.value,
    ...(min.value === undefined ? {} : { minDurationUs: min.value }),
    ...(max.value === undefined ? {} : { maxDurationUs: max.value }),
    startUs: start.value ?? endUs - (lookback.value ?? defaultLookbackUs),
    endUs,
    limit: limit.value,
  });
}

/** Reads `endTs` and `lookback` of `/api/dependencies`, both in milliseconds. */
export function parsePeriod(params: URLSearchParams, nowMs: number): Parsed<{ fromUs: number; toUs: number }> {
  const end = micros(params, "endTs");
  if (!end.ok) return end;
  const lookback = micros(params, "lookback");
  if (!lookback.ok) return lookback;
  const endMs = end.value ?? nowMs;
  return parsed({ fromUs: (endMs - (lookback.value ?? 86_400_000)) * 1_000, toUs: endMs * 1_000 });
}

/** Lower-case hex of 32 digits; a shorter id stands for one that starts with zeros. */
export function parseTraceId(text: string): Parsed<string> {
  return /^[0-9a-fA-F]{1,32}$/.test(text)
    ? parsed(text.toLowerCase().padStart(32, "0"))
    : refused(`trace id ${JSON.stringify(text)} is not 1 to 32 hex digits`);
}

/** Microseconds of a duration in Go's notation: `1.5ms`, `1h30m`. */
export function parseGoDuration(text: string): Parsed<number> {
  const part = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h|d)/gy;
  let total = 0;
  let end = 0;
  for (const match of text.matchAll(part)) {
    total += Number(match[1]) * (unitUs[match[2] ?? ""] ?? Number.NaN);
    end = match.index + match[0].length;
  }
  return end === text.length && end > 0
    ? parsed(total)
    : refused(`${JSON.stringify(text)} is not a duration with a unit, such as 1.5ms or 2s`);
}

function duration(params: URLSearchParams, name: string): Parsed<number | undefined> {
  const text = params.get(name) ?? "";
  // Jaeger's own page says `custom` when it gives start and end.
  if (text === "" || (name === "lookback" && text === "custom")) return parsed(undefined);
  const read = parseGoDuration(text);
  return read.ok ? read : refused(`unable to parse param '${name}': ${read.error}`);
}

function micros(params: URLSearchParams, name: string): Parsed<number | undefined> {
  const text = params.get(name) ?? "";
  if (text === "") return parsed(undefined);
  return /^-?\d{1,16}$/.test(text)
    ? parsed(Number(text))
    : refused(`unable to parse param '${name}': ${JSON.stringify(text)} is not a whole number`);
}

function parseLimit(params: URLSearchParams): Parsed<number> {
  const text = params.get("limit") ?? "";
  if (text === "") return parsed(defaultLimit);
  const limit = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  return limit >= 1 && limit <= maxLimit
    ? parsed(limit)
    : refused(`unable to parse param 'limit': ${JSON.stringify(text)} is not a whole number from 1 to ${maxLimit}`);
}

/** `tag=key:value` any number of times, `tags={"key":"value"}`, and `tags=key=value key2="two words"`. */
function parseTags(params: URLSearchParams): Parsed<ReadonlyMap<string, string>> {
  const tags = new Map<string, string>();
  for (const tag of params.getAll("tag")) {
    const at = tag.indexOf(":");
    if (at < 1) return refused(`malformed 'tag' parameter, expecting key:value, received: ${tag}`);
    tags.set(tag.slice(0, at), tag.slice(at + 1));
  }
  for (const text of params.getAll("tags")) {
    const read = text.trimStart().startsWith("{") ? parseJsonTags(text) : parseTextTags(text);
    if (!read.ok) return read;
    for (const [key, value] of read.value) tags.set(key, value);
  }
  return parsed(tags);
}

function parseJsonTags(text: string): Parsed<readonly (readonly [string, string])[]> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return refused("malformed 'tags' parameter, cannot read it as JSON");
  }
  const entries: (readonly [string, string])[] = [];
  for (const [key, value] of Object.entries(Object(json))) {
    if (typeof value !== "string") return refused(`malformed 'tags' parameter, the value of ${key} is not text`);
    entries.push([key, value]);
  }
  return parsed(entries);
}

function parseTextTags(text: string): Parsed<readonly (readonly [string, string])[]> {
  const entries: (readonly [string, string])[] = [];
  const pair = /\s*([^\s="]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s"]*))(?=\s|$)/gy;
  let end = 0;
  for (const match of text.matchAll(pair)) {
    entries.push([match[1] ?? "", match[2]?.replace(/\\(.)/g, "$1") ?? match[3] ?? ""]);
    end = match.index + match[0].length;
  }
  return text.slice(end).trim() === ""
    ? parsed(entries)
    : refused(`malformed 'tags' parameter, expecting key=value: ${text.slice(end).trim()}`);
}
