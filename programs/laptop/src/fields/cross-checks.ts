import type { Path } from "../render/node.js";
import type { RenderedObject } from "../render/render.js";

/** Reports what is wrong with the piece at a path. */
export type Report = (path: Path, message: string) => void;

type Json = Readonly<Record<string, unknown>>;

const record = (value: unknown): Json =>
  typeof value === "object" && value !== null ? Object.fromEntries(Object.entries(value)) : {};
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** Where a workload of this kind keeps its Pod's spec. */
function podSpecPath(object: Json): Path | undefined {
  if (object["kind"] === "Pod") return ["spec"];
  return object["kind"] === "Deployment" ? ["spec", "template", "spec"] : undefined;
}

/** What is wrong in one object although each of its fields would do by itself. */
export function checkPodSpec(object: Json, services: ReadonlySet<string>, report: Report): void {
  const at = podSpecPath(object);
  if (at === undefined) return;
  const spec = at.reduce<Json>((value, step) => record(value[step]), object);
  const volumes = new Set(list(spec["volumes"]).map((volume) => record(volume)["name"]));
  for (const [index, item] of list(spec["volumes"]).entries()) {
    if (Object.keys(record(item)).length < 2)
      report([...at, "volumes", index], "a volume needs a kind, such as emptyDir: {}");
  }
  for (const field of ["containers", "initContainers"]) {
    for (const [index, item] of list(spec[field]).entries()) {
      const container = record(item);
      const path = [...at, field, index];
      checkImage(container["image"], [...path, "image"], services, report);
      for (const [position, mount] of list(container["volumeMounts"]).entries()) {
        const { name } = record(mount);
        if (!volumes.has(name)) report([...path, "volumeMounts", position, "name"], `the Pod has no volume "${name}"`);
      }
      for (const probe of ["startupProbe", "readinessProbe", "livenessProbe"])
        checkProbe(container, probe, path, report);
    }
  }
}

function checkImage(image: unknown, path: Path, services: ReadonlySet<string>, report: Report): void {
  if (typeof image !== "string") {
    report(path, "a container needs an image");
    return;
  }
  if (/^weft\.local\/embedded-postgres:\d+$/.test(image)) return;
  const name = /(?:^|\/)([^/:@]+)(?::[^/:@]+)?(?:@sha256:[0-9a-f]+)?$/.exec(image)?.[1];
  if (name !== undefined && services.has(name)) return;
  report(
    path,
    `the image "${image}" is no service of this checkout (…/NAME:tag runs services/*/NAME): the overlay must replace it`,
  );
}

function checkProbe(container: Json, name: string, path: Path, report: Report): void {
  const probe = container[name];
  if (probe === undefined) return;
  for (const action of ["httpGet", "tcpSocket"]) {
    const { port } = record(record(probe)[action]);
    if (typeof port !== "string") continue;
    if (!list(container["ports"]).some((entry) => record(entry)["name"] === port))
      report([...path, name, action, "port"], `the container has no port named "${port}"`);
  }
}

/**
 * A name leads straight to Pod addresses here, so a ClusterIP Service must have the port number that its Pods listen on.
 * A LoadBalancer has a proxy of its own, but is reached by its name from inside too.
 */
export function checkServicePorts(service: Json, others: readonly RenderedObject[], report: Report): void {
  const spec = record(service["spec"]);
  for (const [index, entry] of list(spec["ports"]).entries()) {
    const { port, targetPort = port } = record(entry);
    const numbers = typeof targetPort === "string" ? namedPorts(service, targetPort, others) : [targetPort];
    const path = ["spec", "ports", index];
    if (numbers.length === 0)
      report([...path, "targetPort"], `no Pod that is selected has a port named "${targetPort}"`);
    for (const number of new Set(numbers)) {
      if (number !== port)
        report(
          [...path, "port"],
          `port ${port} is not the target port ${number}: names lead straight to Pods here, so the two must be one`,
        );
    }
  }
}

function namedPorts(service: Json, name: string, others: readonly RenderedObject[]): unknown[] {
  const selector = Object.entries(record(record(service["spec"])["selector"]));
  const namespace = record(service["metadata"])["namespace"];
  return others.flatMap(({ object }) => {
    if (record(object["metadata"])["namespace"] !== namespace || podSpecPath(object) === undefined) return [];
    const pod = object["kind"] === "Pod" ? object : record(record(object["spec"])["template"]);
    const labels = record(record(pod["metadata"])["labels"]);
    if (selector.length === 0 || !selector.every(([key, value]) => labels[key] === value)) return [];
    return list(record(pod["spec"])["containers"])
      .flatMap((container) => list(record(container)["ports"]))
      .filter((port) => record(port)["name"] === name)
      .map((port) => record(port)["containerPort"]);
  });
}
