import type { Container, Probe } from "@weft/kube";
import type { ProbeAction, ProbeSpec } from "./probe.js";

/** What the probes of one run of a container need to know of it. */
export interface ProbeTarget {
  readonly container: Container;
  readonly podIP: string;
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly rewrite: (argument: string) => string;
}

/** A manifest's probe with Kubernetes' defaults; `undefined` for none, and for a kind that the laptop does not have (gRPC). */
export function probeSpec(probe: Probe | undefined, target: ProbeTarget): ProbeSpec | undefined {
  const action = probe === undefined ? undefined : actionOf(probe, target);
  if (probe === undefined || action === undefined) return undefined;
  return {
    action,
    initialDelayMs: (probe.initialDelaySeconds ?? 0) * 1_000,
    periodMs: (probe.periodSeconds ?? 10) * 1_000,
    timeoutMs: (probe.timeoutSeconds ?? 1) * 1_000,
    successThreshold: probe.successThreshold ?? 1,
    failureThreshold: probe.failureThreshold ?? 3,
  };
}

function actionOf(probe: Probe, target: ProbeTarget): ProbeAction | undefined {
  const { httpGet, tcpSocket, exec } = probe;
  if (httpGet !== undefined) {
    return {
      t: "http",
      host: httpGet.host ?? target.podIP,
      port: portOf(httpGet.port, target.container),
      path: httpGet.path ?? "/",
      headers: Object.fromEntries((httpGet.httpHeaders ?? []).map(({ name, value }) => [name, value])),
    };
  }
  if (tcpSocket !== undefined) {
    return { t: "tcp", host: tcpSocket.host ?? target.podIP, port: portOf(tcpSocket.port, target.container) };
  }
  if (exec !== undefined) {
    return { t: "exec", command: (exec.command ?? []).map(target.rewrite), env: target.env, cwd: target.cwd };
  }
  return undefined;
}

/** The number of a port given by number or by the name that a container gives it. */
export function portOf(port: number | string, container: Container): number {
  if (typeof port === "number") return port;
  return container.ports?.find(({ name }) => name === port)?.containerPort ?? Number(port);
}
