import { createPrivateKey, webcrypto, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomically } from "./atomic-file.js";

/** The certificate authority of this cluster, and the API server's own certificate. PEM. */
export interface ServerIdentity {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

const dayMs = 24 * 60 * 60 * 1_000;
const renewMs = 30 * dayMs;

/**
 * The identity kept in a folder, made when it is not there, names another address or ends within 30 days. Keys are ECDSA P-256.
 * Writing certificates takes a library of some weight, so it is loaded only then.
 */
export async function serverIdentity(options: {
  readonly directory: string;
  readonly addresses: readonly string[];
  readonly nowMs: number;
}): Promise<ServerIdentity> {
  const known = readIdentity(options.directory);
  if (known !== undefined && isGood(known, options)) return known;
  const made = await makeIdentity(options.addresses, options.nowMs);
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

function isGood(
  known: ServerIdentity,
  options: { readonly addresses: readonly string[]; readonly nowMs: number },
): boolean {
  try {
    const certificate = new X509Certificate(known.cert);
    const ca = new X509Certificate(known.ca);
    return (
      Date.parse(certificate.validTo) - options.nowMs > renewMs &&
      Date.parse(ca.validTo) - options.nowMs > renewMs &&
      certificate.checkIssued(ca) &&
      certificate.checkPrivateKey(createPrivateKey(known.key)) &&
      options.addresses.every((address) => certificate.checkIP(address) !== undefined)
    );
  } catch {
    // Unreadable: made anew.
    return false;
  }
}

/** The names by which a Pod may know the API, beside its addresses. */
const dnsNames = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];

async function makeIdentity(addresses: readonly string[], nowMs: number): Promise<ServerIdentity> {
  await import("reflect-metadata");
  const x509 = await import("@peculiar/x509");
  x509.cryptoProvider.set(webcrypto);
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
  const caKeys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  // A minute back: a clock that was set a little later must not refuse it.
  const notBefore = new Date(nowMs - 60_000);
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: "CN=weft-laptop",
    notBefore,
    notAfter: new Date(nowMs + 3_650 * dayMs),
    keys: caKeys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(caKeys.publicKey),
    ],
  });
  const names = [
    ...dnsNames.map((value) => ({ type: "dns", value }) as const),
    ...addresses.map((value) => ({ type: "ip", value }) as const),
  ];
  const cert = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: "CN=kube-apiserver",
    issuer: ca.subject,
    notBefore,
    notAfter: new Date(nowMs + 365 * dayMs),
    publicKey: keys.publicKey,
    signingKey: caKeys.privateKey,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([...names]),
      await x509.AuthorityKeyIdentifierExtension.create(caKeys.publicKey),
    ],
  });
  // The authority's own key is not kept: nothing else is ever signed by it.
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey));
  const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  return {
    ca: `${ca.toString("pem")}\n`,
    cert: `${cert.toString("pem")}\n`,
    key: key.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

/** 16 random bytes; the first bit clear, so that it is no negative number. */
function serial(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x01;
  return Buffer.from(bytes).toString("hex");
}
