import { kubectl } from "./command.js";
import type { Images } from "./images.js";
import { type PodProgram, runInPod } from "./pod-program.js";

/** What a steady run of calls saw. */
export interface LoadFigures {
  readonly completed: number;
  readonly failures: number;
  /** The first fifty failed calls: which, when, with what. */
  readonly failed: readonly string[];
  /** The most calls that were under way at once. */
  readonly mostInFlight: number;
  /** How many were sent; known once it is stopped. */
  readonly sent?: number;
}

/** Calls that run inside the cluster, whatever happens to this machine's connections. */
export interface SteadyLoad extends AsyncDisposable {
  soFar(): Promise<LoadFigures>;
  stop(): Promise<LoadFigures>;
}

export interface LoadOptions {
  readonly images: Images;
  readonly perSecond: number;
  /** `gateway`: one product over HTTP through the gateway's Service. `mesh`: the same as a client in the mesh, a connection to each Pod of the catalog. */
  readonly through: "gateway" | "mesh";
  /** Which product; needed for `gateway`. */
  readonly productId?: string;
  /** Deadline of each call; ten seconds if absent. */
  readonly timeoutMs?: number;
  /** `false`: of what failed only calls that no server began are tried again; for `mesh`. */
  readonly policyRetries?: boolean;
  /** The node to call from. */
  readonly node?: string;
  /** Name of the Pod, for two loads at once. */
  readonly name?: string;
}

/** Starts calls at a fixed rate from a Pod of its own and gives them back once they run. */
export async function steadyLoad(options: LoadOptions): Promise<SteadyLoad> {
  const { images, perSecond, through, productId = "", timeoutMs = 10_000, node, name = `load-${through}` } = options;
  // By address: what becomes of the cluster's DNS is not what the calls are about.
  const gateway =
    through === "mesh"
      ? ""
      : await kubectl(["get", "service/gateway", "-n", "weft", "-o", "jsonpath={.spec.clusterIP}"]);
  const pod: PodProgram = await runInPod("steady", {
    images,
    name,
    ...(node === undefined ? {} : { node }),
    env: {
      CALLS: through === "gateway" ? "http" : "mesh",
      PER_SECOND: String(perSecond),
      TIMEOUT_MS: String(timeoutMs),
      POLICY_RETRIES: options.policyRetries === false ? "off" : "on",
      URL: `http://${gateway}:8080/shop.catalog.v1.CatalogService/GetProduct`,
      BODY: JSON.stringify({ productId }),
      TARGET: "catalog.shop",
    },
  });
  return {
    soFar: async () => parseFigures(await pod.get("/")),
    stop: async () => parseFigures(await pod.get("/stop")),
    [Symbol.asyncDispose]: () => pod[Symbol.asyncDispose](),
  };
}

function parseFigures(text: string): LoadFigures {
  return JSON.parse(text);
}
