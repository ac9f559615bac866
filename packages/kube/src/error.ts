import { type Infer, isRecord, json, list, number, object, optional, parseShape, text } from "./shape.js";

const statusShape = object({
  status: optional(text),
  message: optional(text),
  reason: optional(text),
  code: optional(number),
  details: optional(
    object({
      name: optional(text),
      group: optional(text),
      kind: optional(text),
      uid: optional(text),
      retryAfterSeconds: optional(number),
      causes: optional(list(object({ reason: optional(text), message: optional(text), field: optional(text) }))),
    }),
  ),
  metadata: optional(json),
  apiVersion: optional(text),
  kind: optional(text),
});

/** meta/v1 `Status`, the body of every refusal. */
export type KubeStatus = Infer<typeof statusShape>;
export type StatusDetails = NonNullable<KubeStatus["details"]>;

/** What the caller can do about a {@link KubeError}. */
export type KubeDecision =
  /** The object isn't there (404). */
  | "not-found"
  /** Somebody else wrote first, or a field belongs to another manager (409 Conflict): read again and decide again. */
  | "conflict"
  /** A create met an object of that name (409 AlreadyExists). */
  | "already-exists"
  /** The resourceVersion or continue token is too old (410): list again. */
  | "gone"
  /** The object is wrong and will be refused again (400, 415, 422). */
  | "invalid"
  /** Not allowed (401, 403): a new token or role is needed. */
  | "denied"
  /** Likely to work later: 429, 5xx, a lost connection, a timeout. */
  | "retry"
  /** Anything else. */
  | "failed";

/** A refusal of the API server, or a call that did not reach it (`code` 0). */
export class KubeError extends Error {
  override readonly name = "KubeError";
  /** HTTP status; 0 when no answer came. */
  readonly code: number;
  /** Kubernetes' machine-readable reason: `NotFound`, `Conflict`, `Expired` … */
  readonly reason: string;
  readonly details: StatusDetails | undefined;
  readonly decision: KubeDecision;
  /** How long the server asks to wait before the next try; `undefined` when it does not say. */
  readonly retryAfterMs: number | undefined;

  constructor(
    message: string,
    options: {
      readonly code: number;
      readonly reason: string;
      readonly details?: StatusDetails | undefined;
      readonly retryAfterMs?: number | undefined;
      readonly cause?: unknown;
    },
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.reason = options.reason;
    this.details = options.details;
    this.decision = decide(options.code, options.reason);
    this.retryAfterMs =
      options.retryAfterMs ??
      (options.details?.retryAfterSeconds === undefined ? undefined : options.details.retryAfterSeconds * 1_000);
  }
}

/** Whether an error is a {@link KubeError} that leaves the caller this decision. */
export function isKubeError(error: unknown, decision?: KubeDecision): error is KubeError {
  return error instanceof KubeError && (decision === undefined || error.decision === decision);
}

function decide(code: number, reason: string): KubeDecision {
  if (code === 404) return "not-found";
  if (code === 409) return reason === "AlreadyExists" ? "already-exists" : "conflict";
  if (code === 410 || reason === "Expired" || reason === "Gone") return "gone";
  if (code === 400 || code === 415 || code === 422) return "invalid";
  if (code === 401 || code === 403) return "denied";
  if (code === 0 || code === 429 || code >= 500) return "retry";
  return "failed";
}

/** Turns an answer that is not 2xx into an error; the body is a `Status`, or whatever a proxy in between wrote. */
export function fromResponse(options: {
  readonly code: number;
  readonly body: unknown;
  readonly retryAfterSeconds?: string | undefined;
  readonly doing: string;
}): KubeError {
  const read = isRecord(options.body) ? parseShape(statusShape, options.body) : undefined;
  const status = read?.ok === true ? read.value : undefined;
  const waitSeconds = Number(options.retryAfterSeconds ?? Number.NaN);
  const message = status?.message ?? `${options.doing}: HTTP ${options.code}`;
  return new KubeError(message, {
    // In a watch stream the code of the Status counts: the HTTP status was 200.
    code: status?.code ?? options.code,
    reason: status?.reason ?? reasonOf(options.code),
    details: status?.details,
    retryAfterMs: Number.isFinite(waitSeconds) ? waitSeconds * 1_000 : undefined,
  });
}

/** A call that got no answer. */
export function fromTransport(error: unknown, doing: string): KubeError {
  if (error instanceof KubeError) return error;
  const why = error instanceof Error ? error.message : String(error);
  return new KubeError(`${doing}: ${why}`, { code: 0, reason: "Unreachable", cause: error });
}

function reasonOf(code: number): string {
  const reasons: Readonly<Record<number, string>> = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    410: "Expired",
    422: "Invalid",
    429: "TooManyRequests",
    503: "ServiceUnavailable",
  };
  return reasons[code] ?? "Unknown";
}
