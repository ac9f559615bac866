import { isDeepStrictEqual } from "node:util";
import { type Parsed, parsed, refused } from "@weft/foundation";
import { certificatesIn } from "@weft/foundation/certificates";

/** By what a call of the API server is known: what it says of itself in ConfigMap `kube-system/extension-apiserver-authentication`. */
export interface FrontProxyTrust {
  /** PEM roots of the certificate that it shows. */
  readonly ca: string;
  /** The common names it may have; none: every name under `ca`. */
  readonly names: readonly string[];
  /** Headers, lower case, in which it says on whose behalf it asks. */
  readonly userHeaders: readonly string[];
}

/** Reads the ConfigMap's data. Refused is what would let in anybody who has a client certificate of the cluster. */
export function parseTrust(data: Readonly<Record<string, string>>): Parsed<FrontProxyTrust> {
  const roots = certificatesIn(data["requestheader-client-ca-file"] ?? "");
  const names = parseNames(data["requestheader-allowed-names"] ?? "[]");
  const headers = parseNames(data["requestheader-username-headers"] ?? '["X-Remote-User"]');
  if (roots.length === 0) return refused("requestheader-client-ca-file has no certificate");
  if (names === undefined) return refused("requestheader-allowed-names is no list of names");
  if (headers === undefined || headers.length === 0) return refused("requestheader-username-headers names no header");
  const clientRoots = new Set(certificatesIn(data["client-ca-file"] ?? ""));
  if (names.length === 0 && roots.some((root) => clientRoots.has(root))) {
    return refused("requestheader-allowed-names is empty, and the front proxy's authority is the one of all clients");
  }
  return parsed({ ca: roots.join(""), names, userHeaders: headers.map((name) => name.toLowerCase()) });
}

/** A list of texts, as JSON; `undefined` for anything else. */
function parseNames(text: string): readonly string[] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value.every((each) => typeof each === "string") ? value : undefined;
  } catch {
    // Said by the caller, with the key's name.
    return undefined;
  }
}

/** What is known of a caller. */
export interface Caller {
  /** Its certificate's chain was verified against the roots. */
  readonly verified: boolean;
  readonly commonName: string | undefined;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

export type Admission =
  | { readonly t: "admitted"; readonly user: string }
  /** Not the API server. */
  | { readonly t: "unknown"; readonly message: string }
  /** The API server, on behalf of nobody it knows. */
  | { readonly t: "forbidden"; readonly message: string };

/**
 * Who may ask: only the API server, only for somebody whom it has recognised. It has authorised the request before it passes it on
 * (docs/decisions/0009). Without trust nobody may.
 */
export function admit(caller: Caller, trust: FrontProxyTrust | undefined): Admission {
  if (trust === undefined) return { t: "unknown", message: "it is not known whom to trust" };
  const { verified, commonName } = caller;
  if (!verified || commonName === undefined) {
    return { t: "unknown", message: "no client certificate of the cluster's front proxy" };
  }
  if (trust.names.length > 0 && !trust.names.includes(commonName)) {
    return { t: "unknown", message: "the client certificate's name is not one of the front proxy's" };
  }
  const user = trust.userHeaders
    .map((name) => caller.headers[name])
    .find((value): value is string => typeof value === "string" && value !== "");
  if (user === undefined) return { t: "forbidden", message: "the front proxy names no user" };
  if (user === "system:anonymous") return { t: "forbidden", message: "figures are not for anonymous users" };
  return { t: "admitted", user };
}

export function sameTrust(a: FrontProxyTrust | undefined, b: FrontProxyTrust | undefined): boolean {
  return isDeepStrictEqual(a, b);
}
