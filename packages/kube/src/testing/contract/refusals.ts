import { expect, test } from "vitest";
import { createKubeClient } from "../../client.js";
import { kinds } from "../../kinds/index.js";
import { type ContractWorld, configMap, deployment, refusalOf, send } from "./fixture.js";

/** What is refused, with which code and which words; and tokens. */
export function refusalsContract(world: ContractWorld): void {
  const ref = (name: string) => ({ namespace: world.namespace, name });

  test("an unknown field is named under Strict, by create and by patch", async () => {
    const base = deployment(world, "strict");
    const body = { ...base, apiVersion: "apps/v1", kind: "Deployment", spec: { ...base.spec, replicaz: 1 } };
    const path = `/apis/apps/v1/namespaces/${world.namespace}/deployments`;
    const answer = await send(world, { method: "POST", path, query: { fieldValidation: "Strict" }, body });
    expect(answer.code).toBe(400);
    expect(answer.json).toMatchObject({ kind: "Status", reason: "BadRequest" });
    expect(answer.text).toContain('strict decoding error: unknown field \\"spec.replicaz\\"');
    await world.client.create(kinds.deployment, base);
    const patched = await refusalOf(
      world.client.patch(
        kinds.deployment,
        ref("strict"),
        { t: "merge", body: { spec: { replicaz: 1 } } },
        { fieldValidation: "Strict" },
      ),
    );
    expect(patched.code).toBe(422);
    expect(patched.message).toContain('strict decoding error: unknown field "spec.replicaz"');
  });

  test("an unknown field is dropped with a warning otherwise", async () => {
    const answer = await send(world, {
      method: "POST",
      path: `/api/v1/namespaces/${world.namespace}/configmaps`,
      body: { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "warned" }, dada: {} },
    });
    expect(answer.code).toBe(201);
    expect(String(answer.headers["warning"])).toContain('unknown field \\"dada\\"');
    expect(answer.json).not.toHaveProperty("dada");
  });

  test("an object that breaks a rule is 422 with the path of the field", async () => {
    const base = deployment(world, "invalid");
    const refusal = await refusalOf(
      world.client.create(kinds.deployment, { ...base, spec: { ...base.spec, replicas: -1 } }),
    );
    expect(refusal).toMatchObject({ code: 422, reason: "Invalid", decision: "invalid" });
    expect(refusal.details).toMatchObject({ name: "invalid", group: "apps", kind: "Deployment" });
    expect(refusal.details?.causes).toContainEqual(
      expect.objectContaining({ reason: "FieldValueInvalid", field: "spec.replicas" }),
    );
    expect(refusal.message).toContain('Deployment.apps "invalid" is invalid: spec.replicas: Invalid value: -1');
  });

  test("a required field that is missing is 422, a wrong word is NotSupported", async () => {
    const base = deployment(world, "incomplete");
    const noImage = await refusalOf(
      world.client.create(kinds.deployment, {
        ...base,
        spec: {
          ...base.spec,
          template: { metadata: { labels: { app: "incomplete" } }, spec: { containers: [{ name: "main" }] } },
        },
      }),
    );
    expect(noImage.details?.causes).toContainEqual(
      expect.objectContaining({ reason: "FieldValueRequired", field: "spec.template.spec.containers[0].image" }),
    );
    const word = await refusalOf(
      world.client.create(kinds.service, {
        metadata: ref("word"),
        spec: { type: "Nonsense", ports: [{ port: 80 }] },
      }),
    );
    expect(word.details?.causes).toContainEqual(
      expect.objectContaining({ reason: "FieldValueNotSupported", field: "spec.type" }),
    );
  });

  test("a name that is none, and a port out of range, are 422", async () => {
    const name = await refusalOf(world.client.create(kinds.configMap, configMap(world, "Not_A_Name")));
    expect(name).toMatchObject({ code: 422, reason: "Invalid" });
    expect(name.details?.causes).toContainEqual(expect.objectContaining({ field: "metadata.name" }));
    const port = await refusalOf(
      world.client.create(kinds.service, { metadata: ref("port"), spec: { ports: [{ port: 70_000 }] } }),
    );
    expect(port.details?.causes).toContainEqual(expect.objectContaining({ field: "spec.ports[0].port" }));
  });

  test("a Deployment's selector can't be changed and must choose its own Pods", async () => {
    await world.client.create(kinds.deployment, deployment(world, "fixed"));
    const labels = { app: "other" };
    const changed = await refusalOf(
      world.client.patch(kinds.deployment, ref("fixed"), {
        t: "merge",
        body: { spec: { selector: { matchLabels: labels }, template: { metadata: { labels } } } },
      }),
    );
    expect(changed).toMatchObject({ code: 422, reason: "Invalid" });
    expect(changed.message).toContain("field is immutable");
    const base = deployment(world, "astray");
    const astray = await refusalOf(
      world.client.create(kinds.deployment, { ...base, spec: { ...base.spec, selector: { matchLabels: labels } } }),
    );
    expect(astray.details?.causes).toContainEqual(expect.objectContaining({ field: "spec.template.metadata.labels" }));
  });

  test("a value of the wrong type is 400", async () => {
    const answer = await send(world, {
      method: "POST",
      path: `/api/v1/namespaces/${world.namespace}/configmaps`,
      body: { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "typed" }, data: { a: 1 } },
    });
    expect(answer.code).toBe(400);
    expect(answer.json).toMatchObject({ kind: "Status", status: "Failure", reason: "BadRequest", code: 400 });
  });

  test("a body of another kind or version is 400", async () => {
    const path = `/api/v1/namespaces/${world.namespace}/configmaps`;
    const metadata = { name: "misplaced" };
    const kind = await send(world, { method: "POST", path, body: { apiVersion: "v1", kind: "Secret", metadata } });
    expect(kind.code).toBe(400);
    const version = await send(world, {
      method: "POST",
      path,
      body: { apiVersion: "apps/v1", kind: "ConfigMap", metadata },
    });
    expect(version.code).toBe(400);
  });

  test("a method that a resource has not is 405", async () => {
    const answer = await send(world, { method: "PUT", path: `/api/v1/namespaces/${world.namespace}/configmaps` });
    expect(answer.code).toBe(405);
    expect(answer.json).toMatchObject({ kind: "Status", reason: "MethodNotAllowed" });
  });

  test("a request without a good token is 401", async () => {
    const { clientCertificate: _certificate, ...server } = world.server;
    await using stranger = createKubeClient({ ...server, token: () => "nobody" });
    expect(await refusalOf(stranger.list(kinds.pod))).toMatchObject({ code: 401, reason: "Unauthorized" });
  });

  test("a token of a service account is told apart by its audience and ends with its Pod", async () => {
    const account = { namespace: world.namespace, name: "default" };
    const pod = await world.client.create(kinds.pod, {
      metadata: { name: "bound", namespace: world.namespace },
      spec: { schedulerName: "nobody", containers: [{ name: "main", image: "registry.invalid/main:1" }] },
    });
    const issued = await world.client.issueToken(account, {
      audiences: ["weft-control-plane"],
      expirationSeconds: 600,
      boundTo: { kind: "Pod", name: "bound", uid: pod.metadata.uid ?? "" },
    });
    expect(issued.token.split(".")).toHaveLength(3);
    expect(Date.parse(issued.expirationTimestamp)).toBeGreaterThan(Date.now());
    const review = { token: issued.token, audiences: ["weft-control-plane"] };
    const good = await world.client.reviewToken(review);
    expect(good.authenticated).toBe(true);
    expect(good.audiences).toEqual(["weft-control-plane"]);
    expect(good.user?.username).toBe(`system:serviceaccount:${world.namespace}:default`);
    expect(good.user?.groups).toContain(`system:serviceaccounts:${world.namespace}`);
    expect(good.user?.extra).toMatchObject({ "authentication.kubernetes.io/pod-name": ["bound"] });
    const elsewhere = await world.client.reviewToken({ ...review, audiences: ["somebody-else"] });
    expect(elsewhere.authenticated ?? false).toBe(false);
    expect((await world.client.reviewToken({ token: "nonsense" })).authenticated ?? false).toBe(false);
    const life = await refusalOf(world.client.issueToken(account, { expirationSeconds: 10 }));
    expect(life).toMatchObject({ code: 422, reason: "Invalid" });
  });

  test("a service account may do what its roles allow, and is told what it may not", async () => {
    const account = { namespace: world.namespace, name: "default" };
    const { token } = await world.client.issueToken(account, { expirationSeconds: 600 });
    const { clientCertificate: _certificate, ...server } = world.server;
    await using guest = createKubeClient({ ...server, token: () => token });
    const refusal = await refusalOf(guest.list(kinds.configMap, { namespace: world.namespace }));
    expect(refusal).toMatchObject({ code: 403, reason: "Forbidden", decision: "denied" });
    expect(refusal.message).toBe(
      `configmaps is forbidden: User "system:serviceaccount:${world.namespace}:default" cannot list resource "configmaps" in API group "" in the namespace "${world.namespace}"`,
    );
    await world.client.create(kinds.role, {
      metadata: ref("reader"),
      rules: [{ apiGroups: [""], resources: ["configmaps"], verbs: ["list"] }],
    });
    await world.client.create(kinds.roleBinding, {
      metadata: ref("reader"),
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "reader" },
      subjects: [{ kind: "ServiceAccount", name: "default", namespace: world.namespace }],
    });
    await expect
      .poll(() => guest.list(kinds.configMap, { namespace: world.namespace }).then(() => "listed", String), {
        timeout: 10_000,
      })
      .toBe("listed");
    expect(await refusalOf(guest.list(kinds.configMap))).toMatchObject({ code: 403 });
    expect(await refusalOf(guest.get(kinds.configMap, ref("made")))).toMatchObject({ code: 403 });
  });
}
