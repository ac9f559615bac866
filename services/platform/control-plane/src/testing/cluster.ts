import type { Scope } from "@weft/foundation";
import { silentLogger } from "@weft/foundation";
import { createGrpcJsTransport, type Listener, okStatus } from "@weft/wire";
import { type ControlPlane, createControlPlane } from "../control-plane.js";
import type { RouteKey } from "../model/keys.js";
import type { ParentOutcome } from "../model/outcome.js";
import { MemorySource } from "./memory-source.js";

/** A control plane on a free port, the source that feeds it, and what it says of routes. */
export interface TestControlPlane extends AsyncDisposable {
  readonly source: MemorySource;
  readonly controlPlane: ControlPlane;
  /** Rejects unless it is serving soon. */
  port(): Promise<number>;
  readonly outcomes: ReadonlyMap<RouteKey, readonly ParentOutcome[]>;
}

export function startControlPlane(
  options: { readonly source?: MemorySource; readonly port?: number } = {},
): TestControlPlane {
  const source = options.source ?? new MemorySource();
  const outcomes = new Map<RouteKey, readonly ParentOutcome[]>();
  const controlPlane = createControlPlane({
    source,
    status: {
      report: (route, said) => void outcomes.set(route, said),
      forget: (route) => void outcomes.delete(route),
    },
    transport: createGrpcJsTransport(),
    host: "127.0.0.1",
    port: options.port ?? 0,
    logger: silentLogger,
  });
  return {
    source,
    controlPlane,
    outcomes,
    async port() {
      const state = await controlPlane.state.until(({ t }) => t === "serving", AbortSignal.timeout(10_000));
      if (state.t !== "serving") throw new Error(`the control plane is ${state.t}`);
      return state.port;
    },
    [Symbol.asyncDispose]: () => controlPlane[Symbol.asyncDispose](),
  };
}

/** The method that backends answer with their name. */
export const whoAreYou = "/test.Backend/WhoAreYou";

/** A gRPC server that answers every call with its name. */
export async function startBackend(name: string, scope: Scope): Promise<Listener> {
  const listener = await createGrpcJsTransport().listen({
    host: "127.0.0.1",
    port: 0,
    methods: new Map([
      [
        whoAreYou,
        (stream) => {
          stream.read(1);
          return {
            message: () => {},
            halfClose() {
              stream.write(new TextEncoder().encode(name));
              stream.end(okStatus);
            },
            cancel: () => {},
          };
        },
      ],
    ]),
  });
  return scope.use(listener);
}
