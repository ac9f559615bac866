import type { DescService } from "@bufbuild/protobuf";
import type { ServiceImpl, Transport } from "@connectrpc/connect";
import type { Watch } from "@weft/foundation";

/** What the chassis needs of a mesh: `Mesh` of `@weft/mesh` fits. */
export interface MeshPart extends AsyncDisposable {
  /** A transport to a Kubernetes Service: `name[.namespace][:port]`. */
  to(target: string): Transport;
  /** Whether the mesh has a config to make calls by, and if not, why. */
  readonly state: Watch<MeshPartState>;
  /** What the mesh believes, as JSON for `/config`. */
  describe(): unknown;
  serve(routes: (router: ServiceRouter) => void, options: { host: string; port: number }): Promise<ServerPart>;
}

export type MeshPartState = { readonly t: "ready" } | { readonly t: "not-ready"; readonly reason: string };

export interface ServiceRouter {
  service<S extends DescService>(service: S, implementation: Partial<ServiceImpl<S>>): unknown;
}

/** What the chassis needs of a running server. */
export interface ServerPart extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** What gRPC health says. */
  setServing(serving: boolean): void;
  drain(options: { readonly delayMs: number; readonly timeoutMs: number }): Promise<void>;
}
