import { cors } from "@connectrpc/connect";
import { requestIdHeader } from "../pipeline/request-id.js";
import { traceHeaders } from "../pipeline/trace.js";

const allowedMethods = cors.allowedMethods.join(", ");
const allowedHeaders = new Set(cors.allowedHeaders.map((name) => name.toLowerCase()));
const exposedHeaders = [...cors.exposedHeaders, requestIdHeader, traceHeaders.parent, traceHeaders.id].join(", ");

/** A request as far as CORS looks at it. */
export interface CorsRequest {
  readonly method?: string | undefined;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

export type CorsAnswer =
  /** Go on, with these headers on the response. */
  | { readonly t: "pass"; readonly headers: Readonly<Record<string, string>> }
  /** A preflight: answer it with this and nothing else. */
  | { readonly t: "preflight"; readonly status: number; readonly headers: Readonly<Record<string, string>> };

/** Says which pages may call: those of the given origins (`*` for all), without cookies. */
export function createCors(origins: readonly string[]): (request: CorsRequest) => CorsAnswer {
  const allowed = new Set(origins);
  return ({ method, headers }) => {
    const origin = text(headers["origin"]);
    const wanted = text(headers["access-control-request-method"]);
    const preflight = method === "OPTIONS" && wanted !== undefined;
    const vary = { vary: "Origin" };
    if (origin === undefined || !(allowed.has(origin) || allowed.has("*")))
      return preflight ? { t: "preflight", status: 403, headers: vary } : { t: "pass", headers: vary };
    const granted = { ...vary, "access-control-allow-origin": origin };
    if (!preflight) return { t: "pass", headers: { ...granted, "access-control-expose-headers": exposedHeaders } };
    const asked = (text(headers["access-control-request-headers"]) ?? "")
      .split(",")
      .map((name) => name.trim().toLowerCase());
    const names = asked.filter((name) => allowedHeaders.has(name) || /^x-[a-z0-9-]+$/.test(name));
    return {
      t: "preflight",
      status: 204,
      headers: {
        ...granted,
        vary: "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
        "access-control-allow-methods": allowedMethods,
        "access-control-allow-headers": names.join(", "),
        "access-control-max-age": "7200",
      },
    };
  };
}

function text(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === "string" ? value : value?.[0];
}
