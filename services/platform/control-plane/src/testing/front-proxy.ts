import { Agent, request } from "node:https";
import { createAuthority, type KeyPair } from "@weft/foundation/certificates";

const hourMs = 3_600_000;

/** The certificates that an API server shows to those it hands requests to, and one that only looks like it. */
export interface FrontProxy {
  /** Data of ConfigMap `extension-apiserver-authentication`. */
  readonly data: Readonly<Record<string, string>>;
  readonly client: KeyPair;
  /** Of the same authority, under a name that is not allowed. */
  readonly otherName: KeyPair;
  /** Of another authority, under the right name. */
  readonly otherAuthority: KeyPair;
}

export async function createFrontProxy(): Promise<FrontProxy> {
  const options = { commonName: "front-proxy-ca", lifetimeMs: hourMs, nowMs: Date.now() };
  const [authority, foreign] = [await createAuthority(options), await createAuthority(options)];
  const pair = (from: typeof authority, commonName: string) =>
    from.issue({ commonName, usage: "client", lifetimeMs: hourMs });
  return {
    data: {
      "client-ca-file": foreign.ca,
      "requestheader-client-ca-file": authority.ca,
      "requestheader-allowed-names": '["front-proxy-client"]',
      "requestheader-username-headers": '["X-Remote-User"]',
      "requestheader-group-headers": '["X-Remote-Group"]',
    },
    client: await pair(authority, "front-proxy-client"),
    otherName: await pair(authority, "kubelet"),
    otherAuthority: await pair(foreign, "front-proxy-client"),
  };
}

export interface Asked {
  readonly code: number;
  readonly body: unknown;
}

/** One request over a connection of its own, as an API server makes it: the certificate must be for the Service's name. */
export function askMetricsApi(options: {
  readonly port: number;
  readonly ca: string;
  readonly path: string;
  readonly client?: KeyPair;
  readonly headers?: Readonly<Record<string, string>>;
  readonly method?: string;
  readonly agent?: Agent;
}): Promise<Asked> {
  const { port, ca, path, client, method = "GET", headers = { "X-Remote-User": "hpa" } } = options;
  return new Promise((resolve, reject) => {
    const ask = request(
      {
        host: "127.0.0.1",
        port,
        path,
        method,
        headers,
        ca,
        cert: client?.cert,
        key: client?.key,
        servername: "control-plane.weft.svc",
        agent: options.agent ?? new Agent({ keepAlive: false }),
      },
      (answer) => {
        let text = "";
        answer.setEncoding("utf8");
        answer.on("data", (chunk: string) => {
          text += chunk;
        });
        answer.on("end", () => resolve({ code: answer.statusCode ?? 0, body: JSON.parse(text) }));
        answer.on("error", reject);
      },
    );
    ask.on("error", reject);
    ask.end();
  });
}
