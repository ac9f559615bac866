import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { render } from "../render/render.js";
import { checkFields, servicesIn, summarizeIgnored } from "./check-fields.js";

const root = fileURLToPath(new URL("../../../../", import.meta.url));

test("the laptop overlay has no problem, and says what means nothing here", async () => {
  const rendered = await render(join(root, "k8s/overlays/laptop"), { relativeTo: root });
  if (!rendered.ok) throw new Error("does not render");
  const { problems, ignored } = checkFields(rendered.value, { services: await servicesIn(root) });
  expect(problems).toEqual([]);
  expect(ignored).toContainEqual({
    file: "k8s/base/shop/orders/deployment.yaml",
    line: expect.any(Number),
    object: "Deployment shop/orders",
    field: "spec.template.spec.securityContext",
    why: "a Pod is a process of yours",
  });
  expect(summarizeIgnored(ignored)).toMatch(/^\d+ fields mean nothing on one machine/);
  expect(summarizeIgnored([])).toBeUndefined();
});

describe("a manifest", () => {
  let folder = "";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "weft-fields-"));
    await writeFile(join(folder, "kustomization.yaml"), "resources: [a.yaml]\n");
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  async function problemsOf(text: string): Promise<string[]> {
    await writeFile(join(folder, "a.yaml"), text);
    const rendered = await render(folder, { relativeTo: folder });
    if (!rendered.ok) throw new Error(JSON.stringify(rendered.error));
    const { problems } = checkFields(rendered.value, { services: new Set(["orders"]) });
    return problems.map(({ file, line, message }) => `${file}:${line}: ${message}`);
  }

  const pod = (container: string, rest = ""): string =>
    `apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\nspec:\n${rest}  containers:\n    - name: c\n      image: x/orders:dev\n${container}`;

  test("with an unknown field is named with its file and line, and with what was meant", async () => {
    expect(await problemsOf(pod("      commandd: [a]\n      zzzzzzzzz: 1\n"))).toEqual([
      'a.yaml:9: Pod p: there is no field "spec.containers[0].commandd": did you mean "command"?',
      'a.yaml:10: Pod p: there is no field "spec.containers[0].zzzzzzzzz"',
    ]);
  });

  test("of an unknown kind is named, also when only its version is wrong", async () => {
    const text =
      "apiVersion: apps/v1beta1\nkind: Deployment\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Servise\nmetadata: {name: a}\n";
    expect(await problemsOf(text)).toEqual([
      'a.yaml:2: Deployment a: the laptop has no kind "apps/v1beta1/Deployment": did you mean "apps/v1/Deployment"?',
      'a.yaml:6: Servise a: the laptop has no kind "v1/Servise": did you mean "v1/Service"?',
    ]);
  });

  test("with a volume of the machine, a hook, a foreign image or a gRPC probe is refused", async () => {
    const volumes = "  volumes:\n    - name: v\n      hostPath: {path: /etc}\n    - name: w\n";
    const container =
      "      lifecycle: {}\n      readinessProbe:\n        grpc: {port: 1}\n      livenessProbe:\n        httpGet:\n          port: nope\n      volumeMounts:\n        - {name: gone, mountPath: /x}\n";
    const problems = await problemsOf(pod(container, volumes).replace("x/orders:dev", "docker.io/redis:7"));
    expect(problems.map((problem) => problem.replace(/^a.yaml:(\d+): Pod p: /, "$1 "))).toEqual([
      '8 the field "spec.volumes[0].hostPath" is not supported on the laptop: a Pod has no business with the machine\'s files',
      "9 a volume needs a kind, such as emptyDir: {}",
      '12 the image "docker.io/redis:7" is no service of this checkout (…/NAME:tag runs services/*/NAME): the overlay must replace it',
      '13 the field "spec.containers[0].lifecycle" is not supported on the laptop: a process gets SIGTERM and nothing before it',
      '15 the field "spec.containers[0].readinessProbe.grpc" is not supported on the laptop: probe the admin port by httpGet',
      '18 the container has no port named "nope"',
      '20 the Pod has no volume "gone"',
    ]);
  });

  test("of a Service is refused when its port is not its target port, given by number or by name", async () => {
    const service = (target: string): string =>
      `---\napiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec:\n  type: NodePort\n  selector: {a: b}\n  ports:\n    - port: 80\n      targetPort: ${target}\n`;
    const labelled = pod("      ports:\n        - {name: http, containerPort: 8080}\n").replace(
      "name: p",
      "name: p\n  labels: {a: b}",
    );
    const why = "names lead straight to Pods here, so the two must be one";
    const type =
      'a.yaml:17: Service s: "spec.type: NodePort" is not supported on the laptop: a Service is a ClusterIP or a LoadBalancer';
    expect(await problemsOf(labelled + service("http"))).toEqual([
      type,
      `a.yaml:20: Service s: port 80 is not the target port 8080: ${why}`,
    ]);
    expect(await problemsOf(labelled + service("81"))).toEqual([
      type,
      `a.yaml:20: Service s: port 80 is not the target port 81: ${why}`,
    ]);
    expect(await problemsOf(labelled + service("none"))).toEqual([
      type,
      'a.yaml:21: Service s: no Pod that is selected has a port named "none"',
    ]);
    expect(await problemsOf(labelled + service("80"))).toEqual([type]);
  });
});
