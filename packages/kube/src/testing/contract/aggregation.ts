import { randomBytes } from "node:crypto";
import { eventually } from "@weft/foundation/testing";
import { expect, test } from "vitest";
import { createKubeClient } from "../../client.js";
import { kinds } from "../../kinds/index.js";
import { at, type ContractWorld, refusalOf, send } from "./fixture.js";

/** Other servers behind the API: what they need to know of it, and what it says of them. */
export function aggregationContract(world: ContractWorld): void {
  const authentication = { namespace: "kube-system", name: "extension-apiserver-authentication" };

  test("servers behind the API learn how to tell it, and whose word on its callers to take", async () => {
    const { data = {} } = await world.client.get(kinds.configMap, authentication);
    expect(data["client-ca-file"]).toContain("BEGIN CERTIFICATE");
    expect(data["requestheader-client-ca-file"]).toContain("BEGIN CERTIFICATE");
    const names = (key: string): unknown => JSON.parse(data[key] ?? "");
    expect(names("requestheader-username-headers")).toEqual(["X-Remote-User"]);
    expect(names("requestheader-group-headers")).toEqual(["X-Remote-Group"]);
    expect(names("requestheader-extra-headers-prefix")).toEqual(["X-Remote-Extra-"]);
    expect(names("requestheader-allowed-names")).toContainEqual(expect.any(String));
  });

  test("a service account may read that by the Role that is there for it, and nothing else beside it", async () => {
    const account = { namespace: world.namespace, name: "default" };
    const binding = { namespace: "kube-system", name: world.namespace };
    await world.client.create(kinds.roleBinding, {
      metadata: binding,
      roleRef: {
        apiGroup: "rbac.authorization.k8s.io",
        kind: "Role",
        name: "extension-apiserver-authentication-reader",
      },
      subjects: [{ kind: "ServiceAccount", ...account }],
    });
    try {
      const { token } = await world.client.issueToken(account, { expirationSeconds: 600 });
      const { clientCertificate: _certificate, ...server } = world.server;
      await using reader = createKubeClient({ ...server, token: () => token });
      await eventually(() => reader.get(kinds.configMap, authentication).catch(() => false), { ceilingMs: 20_000 });
      const namespace = "kube-system";
      const one = await reader.list(kinds.configMap, {
        namespace,
        fieldSelector: `metadata.name=${authentication.name}`,
      });
      expect(one.items).toHaveLength(1);
      expect(await refusalOf(reader.list(kinds.configMap, { namespace }))).toMatchObject({ code: 403 });
    } finally {
      await world.client.delete(kinds.roleBinding, binding);
    }
  });

  test("a group whose server is not there is named, is not available, and answers 503 until it is taken away", async () => {
    const group = `contract-${randomBytes(4).toString("hex")}.weft.dev`;
    const name = `v1.${group}`;
    const service = { namespace: world.namespace, name: "nobody", port: 443 };
    const spec = { group, version: "v1", service, groupPriorityMinimum: 100, versionPriority: 10 };
    await world.client.create(kinds.apiService, { metadata: { name }, spec });
    try {
      const condition = await eventually(
        async () => {
          const conditions: unknown = at(await world.client.get(kinds.apiService, { name }), "status", "conditions");
          const found: unknown = Array.isArray(conditions)
            ? conditions.find((one) => at(one, "type") === "Available")
            : undefined;
          return at(found, "status") !== undefined && found;
        },
        { ceilingMs: 30_000, what: "the availability of the group" },
      );
      expect(condition).toMatchObject({ status: "False", reason: "ServiceNotFound" });
      await eventually(
        async () =>
          (await world.client.request({ method: "GET", path: `/apis/${group}/v1/namespaces/a/b` })).code === 503,
        { ceilingMs: 30_000, what: "503 of the group" },
      );
      const document = await send(world, { method: "GET", path: `/apis/${group}` });
      expect(document.json).toMatchObject({ kind: "APIGroup", preferredVersion: { groupVersion: `${group}/v1` } });
      const accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
      const all = await send(world, { method: "GET", path: "/apis", accept });
      const items: unknown = at(all.json, "items");
      const item = Array.isArray(items) ? items.find((entry) => at(entry, "metadata", "name") === group) : undefined;
      expect(at(item, "versions", 0)).toMatchObject({ version: "v1", freshness: "Stale" });
    } finally {
      await world.client.delete(kinds.apiService, { name });
    }
    await eventually(
      async () => (await world.client.request({ method: "GET", path: `/apis/${group}/v1` })).code === 404,
      { ceilingMs: 30_000, what: "the group gone" },
    );
  });

  test.each<readonly [string, string, Record<string, unknown>, string]>([
    ["another name than its version and group", "v2.x.weft.dev", {}, "metadata.name"],
    ["no priority", "v1.x.weft.dev", { versionPriority: 0 }, "spec.versionPriority"],
    [
      "a bundle that it would not look at",
      "v1.x.weft.dev",
      { insecureSkipTLSVerify: true, caBundle: Buffer.from("a").toString("base64") },
      "spec.insecureSkipTLSVerify",
    ],
  ])("a group of another server with %s is refused", async (_what, name, more, field) => {
    const service = { namespace: world.namespace, name: "nobody" };
    const spec = { group: "x.weft.dev", version: "v1", service, groupPriorityMinimum: 100, versionPriority: 10 };
    const refusal = await refusalOf(
      world.client.create(kinds.apiService, { metadata: { name }, spec: { ...spec, ...more } }),
    );
    expect(refusal).toMatchObject({ code: 422, reason: "Invalid" });
    expect(refusal.details?.causes).toContainEqual(expect.objectContaining({ field }));
  });
}
