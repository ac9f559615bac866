import type { DescService } from "@bufbuild/protobuf";
import type { Handlers } from "./handlers.js";

/** Where a service registers its handlers. */
export interface Router {
  /** Methods left out answer UNIMPLEMENTED. */
  service<S extends DescService>(service: S, handlers: Partial<Handlers<S>>): Router;
}

/** Registers all that a process serves. */
export type Routes = (router: Router) => void;

export interface ServeOptions {
  /** Default `WEFT_BIND`. */
  readonly host?: string;
  /** Default `WEFT_PORT`. */
  readonly port?: number;
}

/** A bound server. */
export interface ServerHandle {
  readonly host: string;
  readonly port: number;
}
