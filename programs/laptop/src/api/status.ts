import type { Cause } from "../kinds/resource-kind.js";

/** What a Status says of the object it is about. */
export interface StatusSubject {
  readonly name?: string;
  readonly group?: string;
  /** The kind for what is invalid, the plural for the rest: upstream's habit. */
  readonly kind?: string;
  readonly uid?: string;
}

/** A refusal: what goes out as a meta/v1 Status. The message is shown to people as it is. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly code: number;
  readonly reason: string;
  readonly subject: StatusSubject;
  readonly causes: readonly Cause[];
  readonly retryAfterSeconds: number | undefined;

  constructor(
    code: number,
    reason: string,
    message: string,
    more: {
      readonly subject?: StatusSubject;
      readonly causes?: readonly Cause[];
      readonly retryAfterSeconds?: number;
    } = {},
  ) {
    super(message);
    this.code = code;
    this.reason = reason;
    this.subject = more.subject ?? {};
    this.causes = more.causes ?? [];
    this.retryAfterSeconds = more.retryAfterSeconds;
  }
}

/** The JSON of a refusal. */
export function statusOf(error: ApiError): Readonly<Record<string, unknown>> {
  const details = {
    ...error.subject,
    ...(error.causes.length === 0
      ? {}
      : { causes: error.causes.map(({ field, reason, message }) => ({ reason, message, field })) }),
    ...(error.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: error.retryAfterSeconds }),
  };
  return {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message: error.message,
    reason: error.reason,
    ...(Object.keys(details).length === 0 ? {} : { details }),
    code: error.code,
  };
}

type Named = { readonly group: string; readonly plural: string; readonly kind: string };

const qualified = (name: string, group: string): string => (group === "" ? name : `${name}.${group}`);

export const badRequest = (message: string): ApiError => new ApiError(400, "BadRequest", message);
export const unauthorized = (): ApiError => new ApiError(401, "Unauthorized", "Unauthorized");
export const forbidden = (message: string, subject: StatusSubject = {}): ApiError =>
  new ApiError(403, "Forbidden", message, { subject });
export const noSuchPath = (): ApiError =>
  new ApiError(404, "NotFound", "the server could not find the requested resource");
export const methodNotAllowed = (): ApiError =>
  new ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource");

export function notFound(kind: Named, name: string): ApiError {
  return new ApiError(404, "NotFound", `${qualified(kind.plural, kind.group)} "${name}" not found`, {
    subject: { name, ...groupOf(kind), kind: kind.plural },
  });
}

export function alreadyExists(kind: Named, name: string): ApiError {
  return new ApiError(409, "AlreadyExists", `${qualified(kind.plural, kind.group)} "${name}" already exists`, {
    subject: { name, ...groupOf(kind), kind: kind.plural },
  });
}

export function conflict(kind: Named, name: string, why: string, causes: readonly Cause[] = []): ApiError {
  return new ApiError(
    409,
    "Conflict",
    `Operation cannot be fulfilled on ${qualified(kind.plural, kind.group)} "${name}": ${why}`,
    { subject: { name, ...groupOf(kind), kind: kind.plural }, causes },
  );
}

export const staleVersion = (kind: Named, name: string): ApiError =>
  conflict(kind, name, "the object has been modified; please apply your changes to the latest version and try again");

export function invalidObject(kind: Named, name: string, causes: readonly Cause[]): ApiError {
  const lines = causes.map((cause) => `${cause.field}: ${cause.message}`);
  const all = lines.length === 1 ? lines[0] : `[${lines.join(", ")}]`;
  return new ApiError(422, "Invalid", `${qualified(kind.kind, kind.group)} "${name}" is invalid: ${all ?? ""}`, {
    subject: { ...(name === "" ? {} : { name }), ...groupOf(kind), ...(kind.kind === "" ? {} : { kind: kind.kind }) },
    causes,
  });
}

export const expired = (message: string): ApiError => new ApiError(410, "Expired", message);

function groupOf(kind: Named): { readonly group?: string } {
  return kind.group === "" ? {} : { group: kind.group };
}
