import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type DiscoveryRequest,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from "@weft/contracts/envoy/service/discovery/v3";
import { WatchSource } from "@weft/foundation";
import {
  type ClientStream,
  type ClientStreamEvents,
  type Connection,
  type ConnectionState,
  type RequestHead,
  StatusCode,
} from "@weft/wire";

/** A response as a test writes it. */
export interface ScriptedResponse {
  readonly typeUrl: string;
  readonly version: string;
  readonly nonce: string;
  readonly resources: readonly Uint8Array[];
  readonly identifier?: string;
}

/** A control plane that does, frame by frame, what a test tells it; it stands in for connection, stream and server at once. */
export class ScriptedControlPlane {
  /** Every request since the start, over all streams. */
  readonly requests: DiscoveryRequest[] = [];
  readonly attempts: number[] = [];
  /** Whether the next connections come up. */
  reachable = true;
  #events: ClientStreamEvents | undefined;

  readonly connect = async (attempt: number): Promise<Connection> => {
    this.attempts.push(attempt);
    if (!this.reachable) throw new Error("connection refused");
    const state = new WatchSource<ConnectionState>({ t: "ready" });
    const close = async (): Promise<void> => state.set({ t: "closed" });
    return { state, open: (head, events) => this.#open(head, events), close, [Symbol.asyncDispose]: close };
  };

  get streaming(): boolean {
    return this.#events !== undefined;
  }

  /** The requests that came since the last call. */
  take(): DiscoveryRequest[] {
    return this.requests.splice(0);
  }

  send(response: ScriptedResponse): void {
    const message = create(DiscoveryResponseSchema, {
      typeUrl: response.typeUrl,
      versionInfo: response.version,
      nonce: response.nonce,
      resources: response.resources.map((value) => ({ typeUrl: response.typeUrl, value })),
      controlPlane: { identifier: response.identifier ?? "cluster-a" },
    });
    this.sendBytes(toBinary(DiscoveryResponseSchema, message));
  }

  sendBytes(bytes: Uint8Array): void {
    if (this.#events === undefined) throw new Error("scripted control plane: no stream is open");
    this.#events.message(bytes);
  }

  /** The stream breaks, as when the process dies. */
  drop(): void {
    this.#end(StatusCode.unavailable, "connection lost");
  }

  #open(_head: RequestHead, events: ClientStreamEvents): ClientStream {
    this.#events = events;
    return {
      write: (bytes) => {
        this.requests.push(fromBinary(DiscoveryRequestSchema, bytes));
        return true;
      },
      end: () => {},
      read: () => {},
      reset: (status) => this.#end(status.code, status.message),
    };
  }

  #end(code: StatusCode, message: string): void {
    const events = this.#events;
    this.#events = undefined;
    events?.end({ status: { code, message }, trailers: [], processed: true });
  }
}
