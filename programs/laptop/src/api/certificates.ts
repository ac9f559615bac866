import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createServerIdentity, isUsableIdentity, type ServerIdentity } from "@weft/foundation/certificates";
import { writeFileAtomically } from "./atomic-file.js";

const dayMs = 24 * 60 * 60 * 1_000;

/** The names by which a Pod may know the API, beside its addresses. */
const dnsNames = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];

/**
 * The certificate authority of this cluster and the API server's own certificate, kept in a folder; made when they are not there, name
 * another address or end within 30 days.
 */
export async function serverIdentity(options: {
  readonly directory: string;
  readonly addresses: readonly string[];
  readonly nowMs: number;
}): Promise<ServerIdentity> {
  const { addresses, nowMs } = options;
  const known = readIdentity(options.directory);
  if (known !== undefined && isUsableIdentity(known, { addresses, nowMs, forMs: 30 * dayMs })) return known;
  const made = await createServerIdentity({
    commonName: "kube-apiserver",
    authorityName: "weft-laptop",
    dnsNames,
    addresses,
    lifetimeMs: 365 * dayMs,
    authorityLifetimeMs: 3_650 * dayMs,
    nowMs,
  });
  writeFileAtomically(join(options.directory, "server.key"), made.key);
  writeFileAtomically(join(options.directory, "server.crt"), made.cert);
  writeFileAtomically(join(options.directory, "ca.crt"), made.ca);
  return made;
}

function readIdentity(directory: string): ServerIdentity | undefined {
  try {
    const [ca = "", cert = "", key = ""] = ["ca.crt", "server.crt", "server.key"].map((name) =>
      readFileSync(join(directory, name), "utf8"),
    );
    return { ca, cert, key };
  } catch {
    // Not all there: made anew.
    return undefined;
  }
}
