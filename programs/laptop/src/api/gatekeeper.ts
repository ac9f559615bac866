import type { IncomingMessage } from "node:http";
import { forbidden, unauthorized } from "./status.js";
import type { Tokens, User } from "./tokens.js";

/**
 * Who may speak to this API at all. It listens on loopback, where every program and every web page of this machine can reach it, and creating
 * a Pod runs code: so nothing passes without a token, and nothing that a browser could send passes even with one.
 */
export interface Gatekeeper {
  /** The caller; throws 401 without a good token, 403 for a foreign Host or anything from a web page. */
  admit(request: IncomingMessage): User;
}

export function createGatekeeper(options: {
  readonly tokens: Tokens;
  readonly hosts: ReadonlySet<string>;
}): Gatekeeper {
  return {
    admit(request) {
      const host = request.headers.host?.toLowerCase() ?? "";
      // A page whose name resolves here (DNS rebinding) sends its own name.
      if (!options.hosts.has(host)) throw forbidden(`host ${JSON.stringify(host)} is not this API's`);
      const fromPage =
        request.headers.origin !== undefined ||
        Object.keys(request.headers).some((name) => name.startsWith("sec-fetch-"));
      if (fromPage) throw forbidden("requests from web pages are refused");
      const [scheme, token] = (request.headers.authorization ?? "").split(" ");
      if (scheme?.toLowerCase() !== "bearer" || token === undefined || token === "") throw unauthorized();
      const found = options.tokens.authenticate(token);
      if (found === undefined) throw unauthorized();
      return impersonated(found.user, request);
    },
  };
}

/** `--as`: who may do anything may look at the API as somebody else. For all others the wish is refused, never overlooked. */
function impersonated(user: User, request: IncomingMessage): User {
  const asked = Object.keys(request.headers).filter((name) => name.startsWith("impersonate-"));
  if (asked.length === 0) return user;
  const username = request.headers["impersonate-user"];
  if (!user.groups.includes("system:masters"))
    throw forbidden(`User ${JSON.stringify(user.username)} cannot impersonate`);
  if (
    typeof username !== "string" ||
    asked.some((name) => name !== "impersonate-user" && name !== "impersonate-group")
  ) {
    throw forbidden("only Impersonate-User and Impersonate-Group are understood");
  }
  // Node joins a header that comes several times.
  const groups = String(request.headers["impersonate-group"] ?? "")
    .split(",")
    .map((group) => group.trim())
    .filter((group) => group !== "");
  const account = /^system:serviceaccount:([^:]+):[^:]+$/.exec(username);
  const implied = account === null ? [] : ["system:serviceaccounts", `system:serviceaccounts:${account[1] ?? ""}`];
  return { username, uid: "", groups: [...new Set([...groups, ...implied, "system:authenticated"])], extra: {} };
}
