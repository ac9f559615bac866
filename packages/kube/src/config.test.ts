import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeClock } from "@weft/foundation/testing";
import { expect, test } from "vitest";
import { inClusterServer, parseKubeconfig } from "./config.js";

const kubeconfig = (user: string): string => `
apiVersion: v1
kind: Config
current-context: here
contexts:
  - { name: here, context: { cluster: c, user: u, namespace: shop } }
  - { name: lost, context: { cluster: nowhere, user: u } }
clusters:
  - { name: c, cluster: { server: "https://127.0.0.1:6443", certificate-authority-data: ${Buffer.from("CA").toString("base64")} } }
users:
  - { name: u, user: ${user} }
`;

function folder(files: Readonly<Record<string, string>>) {
  const directory = mkdtempSync(join(tmpdir(), "weft-kube-"));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  return { directory, [Symbol.dispose]: () => rmSync(directory, { recursive: true }) };
}

test("a kubeconfig gives server, authority, namespace and token of its current context", () => {
  const read = parseKubeconfig(kubeconfig("{ token: secret }"));
  if (!read.ok) throw new Error(read.error);
  expect(read.value).toMatchObject({ server: "https://127.0.0.1:6443", ca: "CA", namespace: "shop" });
  expect(read.value.token?.()).toBe("secret");
});

test("certificates named by file are read relative to the kubeconfig", () => {
  using files = folder({ "c.pem": "CERT", "k.pem": "KEY" });
  const read = parseKubeconfig(kubeconfig("{ client-certificate: c.pem, client-key: k.pem }"), {
    directory: files.directory,
  });
  if (!read.ok) throw new Error(read.error);
  expect(read.value.clientCertificate).toEqual({ cert: "CERT", key: "KEY" });
});

test.each([
  ["{ exec: { command: aws } }", "sign-in by a plugin (exec) is not supported"],
  ["{ auth-provider: { name: gcp } }", "auth-provider is not supported"],
  ["{ username: a, password: b }", "passwords are not supported"],
  ["{ token: t, as: somebody }", "impersonation is not supported"],
])("a user %s is refused with a reason", (user, reason) => {
  const read = parseKubeconfig(kubeconfig(user));
  expect(read).toMatchObject({ ok: false, error: expect.stringContaining(reason) });
});

test("a context, cluster or file that is not there is named", () => {
  expect(parseKubeconfig(kubeconfig("{}"), { context: "none" })).toMatchObject({
    error: 'kubeconfig: no context "none"',
  });
  expect(parseKubeconfig(kubeconfig("{}"), { context: "lost" })).toMatchObject({
    error: 'kubeconfig: no cluster "nowhere"',
  });
  expect(parseKubeconfig("clusters: 7")).toMatchObject({
    error: "kubeconfig: clusters: expected a list, found number",
  });
  expect(parseKubeconfig(": : :")).toMatchObject({ ok: false });
});

test("a Pod's token is read again as it rotates", async () => {
  using files = folder({ token: "first\n", "ca.crt": "CA" });
  const clock = new FakeClock();
  const server = inClusterServer({ host: "10.0.0.1", port: 443, directory: files.directory, clock });
  expect(server.server).toBe("https://10.0.0.1:443");
  expect(server.token?.()).toBe("first");
  writeFileSync(join(files.directory, "token"), "second");
  expect(server.token?.()).toBe("first");
  await clock.advance(10_000);
  expect(server.token?.()).toBe("second");
});

test("a folder without a token is an error at once", () => {
  using files = folder({});
  expect(() => inClusterServer({ host: "h", port: 1, directory: files.directory })).toThrow(/token/);
});
