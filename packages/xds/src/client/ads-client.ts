import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Node } from "@weft/contracts/envoy/config/core/v3";
import {
  AggregatedDiscoveryService,
  DiscoveryRequestSchema,
  type DiscoveryResponse,
  DiscoveryResponseSchema,
} from "@weft/contracts/envoy/service/discovery/v3";
import {
  type Backoff,
  type Clock,
  connectionBackoff,
  createBackoff,
  type Logger,
  Scope,
  silentLogger,
  sleep,
  systemClock,
  type Watch,
  WatchSource,
} from "@weft/foundation";
import { type ClientStream, type Connection, emptyMetadata, StatusCode, type StreamOutcome } from "@weft/wire";
import {
  type AnyResourceTable,
  type ResourceSubscription,
  ResourceTable,
  type TableOutcome,
} from "./resource-table.js";
import type { ResourceReport, ResourceType } from "./resource-type.js";
import { nothingSaved, type SavedResources } from "./saved.js";
import { compareVersions, type SnapshotVersion } from "./version.js";

/** Where the client stands with its control plane. */
export type AdsStatus =
  | { readonly t: "connecting" }
  /** A stream is open; `answered` once the control plane has sent something on it. */
  | { readonly t: "connected"; readonly answered: boolean }
  | { readonly t: "disconnected"; readonly cause: string };

export interface AdsClientOptions {
  /**
   * Starts a connection to a control plane. `attempt` counts from 0 and never goes back, so that several addresses are tried in turn.
   * A rejection counts as a failed attempt.
   */
  readonly connect: (attempt: number, signal: AbortSignal) => Promise<Connection>;
  /** Sent with the first request of each stream. */
  readonly node: Node;
  /** What an earlier process had accepted: it counts until the control plane says otherwise. */
  readonly saved?: SavedResources;
  readonly clock?: Clock;
  /** Waits between attempts. Default: gRPC's connection back-off. */
  readonly backoff?: Backoff;
  readonly logger?: Logger;
}

/** The resources of one type. */
export interface ResourceCollection<T> {
  /** Asks for a resource until disposed; subscriptions to one name share one state. */
  subscribe(name: string): ResourceSubscription<T>;
}

/** The client side of state-of-the-world ADS. Dispose ends the stream; what was accepted stays readable. */
export interface AdsClient extends AsyncDisposable {
  /** The collection of a type; one type URL has one type. */
  collection<T>(type: ResourceType<T>): ResourceCollection<T>;
  readonly status: Watch<AdsStatus>;
  /** The newest snapshot that something was taken from, over all types; empty before the first. */
  readonly position: SnapshotVersion;
  /** All accepted resources, replaced whole after each change: what to save. */
  readonly accepted: Watch<SavedResources>;
  reports(): readonly ResourceReport[];
}

const method = AggregatedDiscoveryService.method.streamAggregatedResources;
export const adsPath = `/${AggregatedDiscoveryService.typeName}/${method.name}`;

/** Makes a client and starts it. */
export function createAdsClient(options: AdsClientOptions): AdsClient {
  return new AdsWorker(options);
}

interface TableSlot {
  readonly table: AnyResourceTable;
  /** Of the last response on this stream; empty before the first. */
  nonce: string;
  /** A request is due: names changed, or a response wants its answer. */
  dirty: boolean;
  /** Why the last response is refused, until that has been said. */
  refusal: string | undefined;
  /** Whether this stream has been told about the type. */
  asked: boolean;
}

/** Owns all ADS state. Everything happens in synchronous commands, in the order in which they come. */
class AdsWorker implements AdsClient {
  readonly #options: AdsClientOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #backoff: Backoff;
  readonly #scope = new Scope();
  readonly #status = new WatchSource<AdsStatus>({ t: "connecting" });
  readonly #accepted: WatchSource<SavedResources>;
  readonly #slots = new Map<string, TableSlot>();
  #position: SnapshotVersion = { identifier: "", version: "" };
  #stream: { readonly calls: ClientStream; nodeSent: boolean; answered: boolean } | undefined;
  #flushDue = false;
  #savedDue = false;

  constructor(options: AdsClientOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#logger = (options.logger ?? silentLogger).child({ component: "ads" });
    this.#backoff = options.backoff ?? createBackoff(connectionBackoff);
    this.#accepted = new WatchSource(options.saved ?? nothingSaved);
    for (const { identifier, version } of options.saved?.types ?? []) this.#moveTo({ identifier, version });
    this.#scope.spawn((signal) => this.#run(signal));
  }

  get status(): Watch<AdsStatus> {
    return this.#status;
  }

  get accepted(): Watch<SavedResources> {
    return this.#accepted;
  }

  get position(): SnapshotVersion {
    return this.#position;
  }

  collection<T>(type: ResourceType<T>): ResourceCollection<T> {
    if (this.#slots.has(type.typeUrl)) throw new Error(`ads client: ${type.typeUrl} has a collection already`);
    const table = new ResourceTable<T>({
      type,
      saved: this.#options.saved?.types.find((saved) => saved.typeUrl === type.typeUrl),
      clock: this.#clock,
      logger: this.#logger,
      onNamesChanged: () => this.#markDirty(slot),
      onTaken: () => this.#saveLater(),
      isSilenceProof: () => this.#isSilenceProof(),
    });
    const slot: TableSlot = { table, nonce: "", dirty: false, refusal: undefined, asked: false };
    this.#slots.set(type.typeUrl, slot);
    if (this.#stream !== undefined) table.streamOpened();
    return table;
  }

  reports(): readonly ResourceReport[] {
    return [...this.#slots.values()].flatMap((slot) => slot.table.reports());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scope[Symbol.asyncDispose]();
  }

  async #run(signal: AbortSignal): Promise<void> {
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      this.#status.set({ t: "connecting" });
      const startedMs = this.#clock.nowMs();
      const outcome = await this.#connectOnce(attempt, signal);
      if (signal.aborted) return;
      if (outcome.answered) this.#backoff.reset();
      // A stream that lived longer than the wait has paid for it already: after a planned restart the next address is tried at once.
      const waitMs = Math.max(0, this.#backoff.nextMs() - (outcome.answered ? this.#clock.nowMs() - startedMs : 0));
      this.#logger.warn("control plane connection ended", { cause: outcome.cause, retryInMs: Math.round(waitMs) });
      this.#status.set({ t: "disconnected", cause: outcome.cause });
      if (waitMs > 0) await sleep(waitMs, { clock: this.#clock, signal });
    }
  }

  /** One connection and one stream, until either ends. Never throws. */
  async #connectOnce(attempt: number, signal: AbortSignal): Promise<{ answered: boolean; cause: string }> {
    let connection: Connection | undefined;
    try {
      connection = await this.#options.connect(attempt, signal);
      const state = await connection.state.until((now) => now.t !== "connecting", signal);
      if (state.t !== "ready")
        return { answered: false, cause: messageOf(state.t === "closed" ? state.cause : state.t) };
      signal.throwIfAborted();
      return await this.#runStream(connection, signal);
    } catch (error) {
      return { answered: false, cause: messageOf(error) };
    } finally {
      await connection?.close();
    }
  }

  #runStream(connection: Connection, signal: AbortSignal): Promise<{ answered: boolean; cause: string }> {
    return new Promise((resolve) => {
      const onAbort = (): void => calls.reset({ code: StatusCode.cancelled, message: "client stopped" });
      const calls = connection.open(
        { path: adsPath, metadata: emptyMetadata },
        {
          head: () => {},
          message: (bytes) => this.#receive(bytes),
          end: (outcome: StreamOutcome) => {
            signal.removeEventListener("abort", onAbort);
            const answered = this.#stream?.answered ?? false;
            this.#closeStream();
            resolve({ answered, cause: `${outcome.status.message || "stream ended"} (status ${outcome.status.code})` });
          },
        },
      );
      this.#openStream(calls);
      signal.addEventListener("abort", onAbort, { once: true });
      calls.read(1);
    });
  }

  #openStream(calls: ClientStream): void {
    this.#stream = { calls, nodeSent: false, answered: false };
    for (const slot of this.#slots.values()) {
      slot.nonce = "";
      slot.refusal = undefined;
      slot.asked = false;
      slot.dirty = true;
      slot.table.streamOpened();
    }
    this.#status.set({ t: "connected", answered: false });
    this.#flush();
  }

  #closeStream(): void {
    this.#stream = undefined;
    for (const slot of this.#slots.values()) slot.table.streamClosed();
  }

  #receive(bytes: Uint8Array): void {
    const stream = this.#stream;
    if (stream === undefined) return;
    const response = parseResponse(bytes);
    if (response === undefined) {
      stream.calls.reset({
        code: StatusCode.internal,
        message: "control plane sent bytes that are no DiscoveryResponse",
      });
      return;
    }
    if (!stream.answered) {
      stream.answered = true;
      this.#logger.info("control plane connected", { identifier: response.controlPlane?.identifier ?? "" });
      this.#status.set({ t: "connected", answered: true });
    }
    const slot = this.#slots.get(response.typeUrl);
    // A type that was never asked for has no request that could answer it.
    if (slot?.asked) this.#answer(slot, response);
    stream.calls.read(1);
  }

  #answer(slot: TableSlot, response: DiscoveryResponse): void {
    const identifier = response.controlPlane?.identifier ?? "";
    const version = response.versionInfo;
    const outcome = this.#apply(slot, response, identifier);
    slot.nonce = response.nonce;
    slot.refusal = outcome.t === "accepted" ? undefined : outcome.error;
    if (outcome.t !== "response-invalid") this.#moveTo({ identifier, version });
    if (outcome.t !== "accepted") {
      this.#logger.warn("resources refused", { typeUrl: response.typeUrl, version, reason: outcome.error });
    }
    // The answer leaves after those who watch have had their turn: what they ask for next goes with it.
    this.#markDirty(slot);
  }

  #apply(slot: TableSlot, response: DiscoveryResponse, identifier: string): TableOutcome {
    const resources: Uint8Array[] = [];
    for (const any of response.resources) {
      if (any.typeUrl !== response.typeUrl) {
        return {
          t: "response-invalid",
          error: `a resource of type ${any.typeUrl} in a response of type ${response.typeUrl}`,
        };
      }
      resources.push(any.value);
    }
    return slot.table.apply({ identifier, version: response.versionInfo, resources });
  }

  #moveTo(next: SnapshotVersion): void {
    if (next.version === "" || compareVersions(next, this.#position) === "older") return;
    this.#position = next;
  }

  /** Who has answered nothing at all is not there, whatever its sockets say: it proves nothing, and is left for another. */
  #isSilenceProof(): boolean {
    const stream = this.#stream;
    if (stream?.answered === true) return true;
    stream?.calls.reset({ code: StatusCode.unavailable, message: "the control plane answers nothing" });
    return false;
  }

  #markDirty(slot: TableSlot): void {
    slot.dirty = true;
    if (this.#flushDue) return;
    this.#flushDue = true;
    queueMicrotask(() => {
      this.#flushDue = false;
      this.#flush();
    });
  }

  #flush(): void {
    for (const slot of this.#slots.values()) if (slot.dirty) this.#send(slot);
  }

  #send(slot: TableSlot): void {
    const stream = this.#stream;
    // Without a stream nothing is lost: a new one starts with every type.
    if (stream === undefined) return;
    slot.dirty = false;
    const names = slot.table.names;
    // A first request without names would ask for everything there is.
    if (names.length === 0 && !slot.asked) return;
    const request = create(DiscoveryRequestSchema, {
      versionInfo: slot.table.ackedVersion,
      resourceNames: [...names],
      typeUrl: slot.table.typeUrl,
      responseNonce: slot.nonce,
    });
    if (!stream.nodeSent) request.node = this.#options.node;
    if (slot.refusal !== undefined) {
      request.errorDetail = {
        $typeName: "google.rpc.Status",
        code: StatusCode.invalidArgument,
        message: slot.refusal,
        details: [],
      };
      slot.refusal = undefined;
    }
    stream.nodeSent = true;
    slot.asked = true;
    stream.calls.write(toBinary(DiscoveryRequestSchema, request));
    slot.table.requested();
  }

  #saveLater(): void {
    if (this.#savedDue) return;
    this.#savedDue = true;
    queueMicrotask(() => {
      this.#savedDue = false;
      const types = [...this.#slots.values()].map((slot) => slot.table.saved());
      // Types that nobody has opened in this process yet are kept as they were.
      for (const type of this.#accepted.value.types) if (!this.#slots.has(type.typeUrl)) types.push(type);
      this.#accepted.set({ types });
    });
  }
}

function parseResponse(bytes: Uint8Array): DiscoveryResponse | undefined {
  try {
    return fromBinary(DiscoveryResponseSchema, bytes);
  } catch {
    // The caller ends the stream, which is then tried again: there is nothing else in the error.
    return undefined;
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause ?? "closed");
}
