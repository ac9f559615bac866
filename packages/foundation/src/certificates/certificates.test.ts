import { X509Certificate } from "node:crypto";
import { expect, test } from "vitest";
import { certificatesIn, createAuthority, createServerIdentity, isUsableIdentity } from "./index.js";

const dayMs = 24 * 60 * 60 * 1_000;
const nowMs = Date.parse("2026-06-01T00:00:00Z");
const make = () =>
  createServerIdentity({
    commonName: "api",
    authorityName: "test root",
    dnsNames: ["api.test"],
    addresses: ["127.0.0.1"],
    lifetimeMs: 90 * dayMs,
    nowMs,
  });

test("a server's certificate stands under its root, for its names, and ends in time", async () => {
  const identity = await make();
  const certificate = new X509Certificate(identity.cert);
  expect(certificate.verify(new X509Certificate(identity.ca).publicKey)).toBe(true);
  expect(certificate.subject).toBe("CN=api");
  expect(certificate.keyUsage).toEqual(["1.3.6.1.5.5.7.3.1"]);
  expect(Date.parse(certificate.validTo) - nowMs).toBe(90 * dayMs);
});

test("an identity is usable for its names until it ends, and only with its own key and root", async () => {
  const [identity, other] = [await make(), await make()];
  const usable = (of = identity, more: { dnsNames?: string[]; addresses?: string[]; forMs?: number } = {}) =>
    isUsableIdentity(of, { nowMs, forMs: dayMs, ...more });
  expect(usable(identity, { dnsNames: ["api.test"], addresses: ["127.0.0.1"] })).toBe(true);
  expect(usable(identity, { dnsNames: ["other.test"] })).toBe(false);
  expect(usable(identity, { addresses: ["127.0.0.2"] })).toBe(false);
  expect(usable(identity, { forMs: 91 * dayMs })).toBe(false);
  expect(usable({ ...identity, key: other.key })).toBe(false);
  expect(usable({ ...identity, ca: other.ca })).toBe(false);
  expect(usable({ ...identity, ca: identity.ca + other.ca })).toBe(true);
  expect(usable({ ...identity, cert: "" })).toBe(false);
});

test("an authority issues client certificates too, and a name may hold what a distinguished name escapes", async () => {
  const authority = await createAuthority({ commonName: "root", lifetimeMs: dayMs, nowMs });
  const { cert } = await authority.issue({ commonName: "a, CN=b", usage: "client", lifetimeMs: dayMs });
  expect(new X509Certificate(cert).toLegacyObject().subject).toEqual({ CN: "a, CN=b" });
  expect(new X509Certificate(cert).keyUsage).toEqual(["1.3.6.1.5.5.7.3.2"]);
});

test("certificates are found in a text with other things between them", async () => {
  const [one, two] = [await make(), await make()];
  const text = `# first\n${one.ca}\n# second\n${two.ca}`;
  expect(certificatesIn(text)).toEqual([one.ca, two.ca]);
  expect(certificatesIn("nothing")).toEqual([]);
});
