import { createPrivateKey, webcrypto } from "node:crypto";

/** A certificate and its private key (PKCS #8). PEM. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

export interface CertificateRequest {
  /** The subject's common name. */
  readonly commonName: string;
  /** What TLS may use it for. */
  readonly usage: "server" | "client";
  readonly dnsNames?: readonly string[];
  readonly addresses?: readonly string[];
  readonly lifetimeMs: number;
}

/** Signs certificates. Its own key is nowhere but in this object: who lets go of it has an authority that never signs again. */
export interface CertificateAuthority {
  /** The root, PEM. */
  readonly ca: string;
  issue(request: CertificateRequest): Promise<KeyPair>;
}

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

/** A clock that is set a little later elsewhere must not refuse what was made now. */
const backdatedMs = 60_000;

/**
 * A new root that signs itself. Keys are ECDSA P-256, serial numbers random.
 * Writing certificates takes a library of some weight, so it is loaded only here.
 */
export async function createAuthority(options: {
  readonly commonName: string;
  readonly lifetimeMs: number;
  readonly nowMs: number;
}): Promise<CertificateAuthority> {
  await import("reflect-metadata");
  const x509 = await import("@peculiar/x509");
  x509.cryptoProvider.set(webcrypto);
  const notBefore = new Date(options.nowMs - backdatedMs);
  const rootKeys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: [{ CN: [options.commonName] }],
    notBefore,
    notAfter: new Date(options.nowMs + options.lifetimeMs),
    keys: rootKeys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(rootKeys.publicKey),
    ],
  });
  return {
    ca: `${root.toString("pem")}\n`,
    async issue({ commonName, usage, dnsNames = [], addresses = [], lifetimeMs }) {
      const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
      const names = [
        ...dnsNames.map((value) => ({ type: "dns", value }) as const),
        ...addresses.map((value) => ({ type: "ip", value }) as const),
      ];
      const cert = await x509.X509CertificateGenerator.create({
        serialNumber: serial(),
        subject: [{ CN: [commonName] }],
        issuer: root.subject,
        notBefore,
        notAfter: new Date(options.nowMs + lifetimeMs),
        publicKey: keys.publicKey,
        signingKey: rootKeys.privateKey,
        signingAlgorithm: algorithm,
        extensions: [
          new x509.BasicConstraintsExtension(false, undefined, true),
          new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
          new x509.ExtendedKeyUsageExtension([
            usage === "server" ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth,
          ]),
          ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension([...names])]),
          await x509.AuthorityKeyIdentifierExtension.create(rootKeys.publicKey),
        ],
      });
      return { cert: `${cert.toString("pem")}\n`, key: await pemOf(keys.privateKey) };
    },
  };
}

async function pemOf(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key));
  return createPrivateKey({ key: der, format: "der", type: "pkcs8" })
    .export({ type: "pkcs8", format: "pem" })
    .toString();
}

/** 16 random bytes; the first bit clear, so that it is no negative number. */
function serial(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x01;
  return Buffer.from(bytes).toString("hex");
}
