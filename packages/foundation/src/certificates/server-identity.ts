import { createPrivateKey, X509Certificate } from "node:crypto";
import { createAuthority, type KeyPair } from "./authority.js";

/** What a server shows, and the root that its clients trust. PEM. */
export interface ServerIdentity extends KeyPair {
  readonly ca: string;
}

/** The names that a server answers to. */
export interface ServerNames {
  readonly dnsNames?: readonly string[];
  readonly addresses?: readonly string[];
}

/** A server certificate under a root of its own. The root's key is not kept: nothing else is ever signed by it. */
export async function createServerIdentity(
  options: ServerNames & {
    readonly commonName: string;
    readonly authorityName: string;
    readonly lifetimeMs: number;
    /** Default: that of the server's certificate. */
    readonly authorityLifetimeMs?: number;
    readonly nowMs: number;
  },
): Promise<ServerIdentity> {
  const { nowMs, lifetimeMs } = options;
  const authority = await createAuthority({
    commonName: options.authorityName,
    lifetimeMs: options.authorityLifetimeMs ?? lifetimeMs,
    nowMs,
  });
  const pair = await authority.issue({ ...options, usage: "server" });
  return { ca: authority.ca, ...pair };
}

/**
 * Whether a server can go on with an identity for so long: readable, belonging together, for these names, with its root not over.
 * `ca` may hold several roots; the certificate must stand under the first.
 */
export function isUsableIdentity(
  identity: ServerIdentity,
  options: ServerNames & { readonly nowMs: number; readonly forMs: number },
): boolean {
  try {
    const certificate = new X509Certificate(identity.cert);
    const root = new X509Certificate(identity.ca);
    const untilMs = options.nowMs + options.forMs;
    return (
      Date.parse(certificate.validTo) > untilMs &&
      Date.parse(root.validTo) > untilMs &&
      certificate.checkIssued(root) &&
      certificate.verify(root.publicKey) &&
      certificate.checkPrivateKey(createPrivateKey(identity.key)) &&
      (options.dnsNames ?? []).every((name) => certificate.checkHost(name) !== undefined) &&
      (options.addresses ?? []).every((address) => certificate.checkIP(address) !== undefined)
    );
  } catch {
    // Unreadable: of no use.
    return false;
  }
}

/** The certificates in a text, one PEM each; what stands between them is left out. */
export function certificatesIn(pem: string): readonly string[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => `${block}\n`);
}
