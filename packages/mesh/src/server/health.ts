import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import {
  type Health,
  type HealthCheckRequest,
  type HealthCheckResponse,
  type HealthListResponseSchema,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "@weft/contracts/grpc/health/v1";
import { type Watch, WatchSource } from "@weft/foundation";

/** What a server says of its health. */
export interface HealthState {
  /** The server as a whole; a service is never better than this. */
  readonly serving: boolean;
  /** Services that do not serve although the server does. */
  readonly down: ReadonlySet<string>;
  /** The server is going away: those who watch are sent away. */
  readonly closed: boolean;
}

/** The most services that `List` tells of (health.proto). */
const maxListed = 100;

/** The health of one server, and gRPC's health service that tells it (grpc/doc/health-checking.md). */
export class HealthService {
  readonly #state = new WatchSource<HealthState>({ serving: true, down: new Set(), closed: false });
  readonly #services: ReadonlySet<string>;

  constructor(services: readonly string[]) {
    this.#services = new Set(services);
  }

  get state(): Watch<HealthState> {
    return this.#state;
  }

  /** Sets the health of one service, or of the server as a whole. Throws for a service that is not served here. */
  setServing(serving: boolean, service?: string): void {
    const state = this.#state.value;
    if (service === undefined || service === "") {
      if (state.serving !== serving) this.#state.set({ ...state, serving });
      return;
    }
    if (!this.#services.has(service)) throw new Error(`health: service ${JSON.stringify(service)} is not served here`);
    const down = new Set(state.down);
    if (serving) down.delete(service);
    else down.add(service);
    this.#state.set({ ...state, down });
  }

  /** Ends all who watch: their streams would hold up a drain. */
  close(): void {
    this.#state.set({ ...this.#state.value, serving: false, closed: true });
  }

  /** The handlers, to be routed like any other service's. */
  readonly handlers: ServiceImpl<typeof Health> = {
    check: (request) => {
      const status = this.#statusOf(request.service);
      if (status === ServingStatus.SERVICE_UNKNOWN) {
        throw new ConnectError("the service asked about is not served here", Code.NotFound);
      }
      return { status };
    },
    list: () => this.#list(),
    watch: (request, context) => this.#watch(request, context),
  };

  #list(): MessageInitShape<typeof HealthListResponseSchema> {
    const names = ["", ...this.#services];
    if (names.length > maxListed) throw new ConnectError("too many services to list", Code.ResourceExhausted);
    return { statuses: Object.fromEntries(names.map((name) => [name, { status: this.#statusOf(name) }])) };
  }

  async *#watch(
    request: HealthCheckRequest,
    context: HandlerContext,
  ): AsyncGenerator<Pick<HealthCheckResponse, "status">> {
    let told: ServingStatus | undefined;
    for await (const state of this.#state.changes(context.signal)) {
      const status = this.#statusOf(request.service);
      if (status !== told) {
        told = status;
        yield { status };
      }
      if (state.closed) throw new ConnectError("the server is shutting down", Code.Unavailable);
    }
  }

  #statusOf(service: string): ServingStatus {
    if (service !== "" && !this.#services.has(service)) return ServingStatus.SERVICE_UNKNOWN;
    const { serving, down } = this.#state.value;
    return serving && !down.has(service) ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
  }
}
