import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  createAuthority,
  createServerIdentity,
  isUsableIdentity,
  type ServerIdentity,
} from "@weft/foundation/certificates";
import { writeFileAtomically } from "./atomic-file.js";

const dayMs = 24 * 60 * 60 * 1_000;
const renewMs = 30 * dayMs;

/** The names by which a Pod may know the API, beside its addresses. */
const dnsNames = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];

/** The common name by which the API is known to the servers that it forwards requests to. */
export const frontProxyName = "front-proxy-client";

interface Files {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

const serverFiles: Files = { ca: "ca.crt", cert: "server.crt", key: "server.key" };
const frontProxyFiles: Files = {
  ca: "front-proxy-ca.crt",
  cert: "front-proxy-client.crt",
  key: "front-proxy-client.key",
};

/**
 * The certificate authority of this cluster and the API server's own certificate, kept in a folder; made when they are not there, name
 * another address or end within 30 days.
 */
export async function serverIdentity(options: {
  readonly directory: string;
  readonly addresses: readonly string[];
  readonly nowMs: number;
}): Promise<ServerIdentity> {
  const { directory, addresses, nowMs } = options;
  const known = readIdentity(directory, serverFiles);
  if (known !== undefined && isUsableIdentity(known, { addresses, nowMs, forMs: renewMs })) return known;
  const made = await createServerIdentity({
    commonName: "kube-apiserver",
    authorityName: "weft-laptop",
    dnsNames,
    addresses,
    lifetimeMs: 365 * dayMs,
    authorityLifetimeMs: 3_650 * dayMs,
    nowMs,
  });
  writeIdentity(directory, serverFiles, made);
  return made;
}

/**
 * What the API shows when it forwards a request, kept likewise. It stands under a root of its own: who holds it says who a caller is,
 * so no other certificate may pass for it.
 */
export async function frontProxyIdentity(options: {
  readonly directory: string;
  readonly nowMs: number;
}): Promise<ServerIdentity> {
  const { directory, nowMs } = options;
  const known = readIdentity(directory, frontProxyFiles);
  if (known !== undefined && isUsableIdentity(known, { nowMs, forMs: renewMs })) return known;
  const authority = await createAuthority({
    commonName: "weft-laptop-front-proxy",
    lifetimeMs: 3_650 * dayMs,
    nowMs,
  });
  const pair = await authority.issue({ commonName: frontProxyName, usage: "client", lifetimeMs: 365 * dayMs });
  const made = { ca: authority.ca, ...pair };
  writeIdentity(directory, frontProxyFiles, made);
  return made;
}

function writeIdentity(directory: string, files: Files, identity: ServerIdentity): void {
  for (const part of ["key", "cert", "ca"] as const) writeFileAtomically(join(directory, files[part]), identity[part]);
}

function readIdentity(directory: string, files: Files): ServerIdentity | undefined {
  const read = (part: keyof Files): string => readFileSync(join(directory, files[part]), "utf8");
  try {
    return { ca: read("ca"), cert: read("cert"), key: read("key") };
  } catch {
    // Not all there: made anew.
    return undefined;
  }
}
