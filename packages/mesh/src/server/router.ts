import type { DescMethod, DescService } from "@bufbuild/protobuf";
import {
  type ConnectRouter,
  createMethodImplSpec,
  createServiceImplSpec,
  type MethodImpl,
  type MethodImplSpec,
  type ServiceImpl,
} from "@connectrpc/connect";

/** Registers handlers: a function written for Connect's router fits unchanged. */
export type Routes = (router: ConnectRouter) => unknown;

/** What {@link collectRoutes} found. */
export interface CollectedRoutes {
  /** Handlers by path, `/package.Service/Method`. */
  readonly methods: ReadonlyMap<string, MethodImplSpec>;
  readonly services: readonly DescService[];
}

/**
 * Runs `routes` and keeps what it registers. Methods that a service lacks answer UNIMPLEMENTED.
 * Throws when a method is registered twice, and for options of Connect's protocols, which mean nothing here.
 */
export function collectRoutes(routes: Routes): CollectedRoutes {
  const methods = new Map<string, MethodImplSpec>();
  const services: DescService[] = [];
  const add = (spec: MethodImplSpec, options: unknown): void => {
    const path = pathOf(spec.method);
    if (options !== undefined) throw new Error(`route "${path}": options belong to Connect's own server`);
    if (methods.has(path)) throw new Error(`route "${path}" is registered twice`);
    methods.set(path, spec);
  };
  const router: ConnectRouter = {
    // Always empty: Connect's protocols have no part in serving here.
    handlers: [],
    service<T extends DescService>(service: T, implementation: Partial<ServiceImpl<T>>, options?: unknown) {
      for (const spec of Object.values(createServiceImplSpec(service, implementation).methods)) add(spec, options);
      services.push(service);
      return router;
    },
    rpc<M extends DescMethod>(method: M, implementation: MethodImpl<M>, options?: unknown) {
      add(createMethodImplSpec(method, implementation), options);
      if (!services.includes(method.parent)) services.push(method.parent);
      return router;
    },
  };
  routes(router);
  return { methods, services };
}

/** The path that gRPC calls a method by. */
export function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}
