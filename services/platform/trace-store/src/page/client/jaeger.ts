import type { JaegerTrace } from "../../query/jaeger-json.js";

/** The part of the query API that the page reads. */
export type Answer<T> =
  | { readonly t: "ok"; readonly data: T }
  | { readonly t: "error"; readonly status: number; readonly message: string };

export async function fetchTrace(traceId: string, signal: AbortSignal): Promise<Answer<JaegerTrace | undefined>> {
  const answer = await get(`/api/traces/${traceId}`, signal);
  return answer.t === "ok" ? { t: "ok", data: fromTraces(answer.data)[0] } : answer;
}

export async function fetchServices(signal: AbortSignal): Promise<Answer<readonly string[]>> {
  const answer = await get("/api/services", signal);
  return answer.t === "ok" ? { t: "ok", data: fromNames(answer.data) } : answer;
}

export async function fetchOperations(service: string, signal: AbortSignal): Promise<Answer<readonly string[]>> {
  const answer = await get(`/api/services/${encodeURIComponent(service)}/operations`, signal);
  return answer.t === "ok" ? { t: "ok", data: fromNames(answer.data) } : answer;
}

export async function searchTraces(
  params: URLSearchParams,
  signal: AbortSignal,
): Promise<Answer<readonly JaegerTrace[]>> {
  const answer = await get(`/api/traces?${params}`, signal);
  return answer.t === "ok" ? { t: "ok", data: fromTraces(answer.data) } : answer;
}

async function get(path: string, signal: AbortSignal): Promise<Answer<unknown>> {
  try {
    const response = await fetch(path, { signal });
    const envelope = fromEnvelope(await response.json());
    if (response.ok) return { t: "ok", data: envelope.data };
    return { t: "error", status: response.status, message: envelope.errors?.[0]?.msg ?? `status ${response.status}` };
  } catch (error) {
    if (signal.aborted) throw error;
    return { t: "error", status: 0, message: "the trace store does not answer" };
  }
}

interface Envelope {
  readonly data: unknown;
  readonly errors: readonly { readonly msg: string }[] | null;
}

// The server is the page's own, of the same version: its JSON is taken at its word.
function fromEnvelope(json: unknown): Envelope {
  return json as Envelope;
}

function fromTraces(data: unknown): readonly JaegerTrace[] {
  return (data ?? []) as readonly JaegerTrace[];
}

function fromNames(data: unknown): readonly string[] {
  return (data ?? []) as readonly string[];
}
