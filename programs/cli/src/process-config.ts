import { request } from "node:http";
import { isKubeError, isRecord, type KubeClient, type Pod } from "@weft/kube";

/** The debug port of a Pod: on the laptop a socket in its folder, on a cluster 127.0.0.1 inside it. */
const debugPort = 9465;

/** What a process says of itself at `/config`, or that it has no such door, or that it does not answer within `timeoutMs`. */
export async function readProcessConfig(
  client: KubeClient,
  pod: Pod,
  timeoutMs: number,
): Promise<ProcessConfig | "none" | "no answer"> {
  const signal = AbortSignal.timeout(timeoutMs);
  const { name, namespace = "default" } = pod.metadata;
  try {
    const connection = await client.portForward({ name, namespace }, debugPort, { signal });
    const text = await new Promise<string>((resolve, reject) => {
      // HTTP waits on for a stream that ended before it was given it; what ended it says more than that it ended.
      const ended = (): void => reject(connection.errored ?? new Error("the connection ended"));
      if (connection.destroyed) return ended();
      connection.once("close", ended);
      const call = request(
        { path: "/config", host: "localhost", createConnection: () => connection, signal },
        (response) => {
          let body = "";
          response.setEncoding("utf8");
          response.on("data", (chunk: string) => {
            body += chunk;
          });
          response.on("end", () =>
            response.statusCode === 200 ? resolve(body) : reject(new Error(`HTTP ${response.statusCode}`)),
          );
          response.on("error", reject);
        },
      );
      call.on("error", reject);
      call.end();
    }).finally(() => connection.destroy());
    return parseConfig(JSON.parse(text));
  } catch (error) {
    // Refused: nothing listens there, as in Postgres. Otherwise it listens and does not answer.
    return isKubeError(error) && !signal.aborted ? "none" : "no answer";
  }
}

/** The part of `/config` that tells whether a process is current. */
export interface ProcessConfig {
  readonly mesh:
    | {
        readonly connected: boolean;
        readonly version: string;
        readonly cause: string | undefined;
        /** How many services it calls. */
        readonly targets: number;
        readonly rejected: readonly string[];
      }
    | undefined;
  /** What a control plane knows of its clients, by node id. */
  readonly clients:
    | ReadonlyMap<string, { readonly current: boolean; readonly version: string | undefined }>
    | undefined;
  readonly version: string | undefined;
}

function parseConfig(value: unknown): ProcessConfig {
  const config = isRecord(value) ? value : {};
  const mesh = config["mesh"];
  const clients = config["clients"];
  return {
    mesh: isRecord(mesh)
      ? {
          connected: mesh["connected"] === true,
          version: String(mesh["version"] ?? ""),
          cause: typeof mesh["cause"] === "string" ? mesh["cause"] : undefined,
          targets: recordsIn(mesh["targets"]).length,
          rejected: recordsIn(mesh["resources"])
            .filter((resource) => resource["error"] !== undefined)
            .map((resource) => `${String(resource["type"])} ${String(resource["name"])}: ${String(resource["error"])}`),
        }
      : undefined,
    clients: Array.isArray(clients)
      ? new Map(
          recordsIn(clients).map((client) => [
            String(client["node"]),
            {
              current: client["current"] === true,
              version: client["version"] === undefined ? undefined : String(client["version"]),
            },
          ]),
        )
      : undefined,
    version: typeof config["version"] === "string" ? config["version"] : undefined,
  };
}

function recordsIn(value: unknown): readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}
