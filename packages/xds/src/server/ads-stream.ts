import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Node } from "@weft/contracts/envoy/config/core/v3";
import {
  type DiscoveryRequest,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from "@weft/contracts/envoy/service/discovery/v3";
import type { Logger } from "@weft/foundation";
import { type ServerStream, type ServerStreamEvents, type Status, StatusCode } from "@weft/wire";
import { parseTypeUrl, sendOrder, TypeUrl } from "../type-urls.js";
import type { ConnectedClient, TypeState } from "./connected-client.js";
import type { Snapshot, SnapshotCache } from "./snapshot.js";
import { Subscription, type Update } from "./subscription.js";

/** What a stream needs from its server. */
export interface AdsStreamOptions {
  readonly stream: ServerStream;
  readonly snapshots: SnapshotCache;
  readonly identifier: string;
  readonly logger: Logger;
  /** Called when the client rejects something. */
  readonly onRejected: () => void;
  /** Called once, when the stream is over. */
  readonly onClose: () => void;
}

/** Longest part of a client's complaint that is kept and logged. */
const maxComplaint = 1_000;

/**
 * One client on one stream. All its state is here; it is changed only by requests, by new snapshots and by room in the send buffer,
 * and each of them ends in {@link AdsStream.pump}, which sends what is due and no more.
 *
 *   awaiting node --first request--> open --error, cancel or end--> closed
 */
export class AdsStream implements ServerStreamEvents {
  readonly #options: AdsStreamOptions;
  #logger: Logger;
  readonly #subscriptions = new Map<TypeUrl, Subscription>();
  #node: Node | undefined;
  #version: string | undefined;
  #nonces = 0;
  /** True while the send buffer is full: nothing is sent, and no request is read. */
  #blocked = false;
  #closed = false;

  constructor(options: AdsStreamOptions) {
    this.#options = options;
    this.#logger = options.logger.child({ peer: options.stream.peer });
    options.stream.read(1);
  }

  message(bytes: Uint8Array): void {
    this.#guarded(() => {
      let request: DiscoveryRequest;
      try {
        request = fromBinary(DiscoveryRequestSchema, bytes);
      } catch (error) {
        this.#logger.info("ads request is not a DiscoveryRequest", { error });
        this.end({ code: StatusCode.invalidArgument, message: "ads: the message is not a DiscoveryRequest" });
        return;
      }
      if (!this.#take(request)) return;
      this.pump();
      if (!this.#blocked && !this.#closed) this.#options.stream.read(1);
    });
  }

  halfClose(): void {
    this.end({ code: StatusCode.ok, message: "" });
  }

  cancel(): void {
    this.#close();
  }

  writable(): void {
    if (!this.#blocked) return;
    this.#blocked = false;
    this.pump();
    if (!this.#blocked && !this.#closed) this.#options.stream.read(1);
  }

  /** True while something that the client rejected has not been accepted since. */
  get hasRejected(): boolean {
    return [...this.#subscriptions.values()].some(({ rejection }) => rejection !== undefined);
  }

  /**
   * Sends again what was rejected, if there is a newer version of the whole: a client that came from a replica which was ahead
   * rejects what is older than it has, and would otherwise hear nothing of it until it changes.
   */
  retryRejected(): void {
    this.#guarded(() => {
      const version = this.#node && this.#options.snapshots.snapshotFor(this.#node)?.version;
      if (version === undefined || this.#closed) return;
      const retried = [...this.#subscriptions.values()].map((subscription) => subscription.retryRejected(version));
      if (retried.includes(true)) this.pump();
    });
  }

  /** Ends the stream from this side. */
  end(status: Status): void {
    if (this.#closed) return;
    this.#close();
    this.#options.stream.end(status);
  }

  /** Sends what the newest snapshot makes due, in the order that never names what a client does not have. */
  pump(): void {
    this.#guarded(() => {
      if (this.#node === undefined || this.#blocked || this.#closed) return;
      const snapshot = this.#options.snapshots.snapshotFor(this.#node);
      if (snapshot === undefined) {
        // Only before the first snapshot: the client does better with another replica, or later.
        this.end({ code: StatusCode.unavailable, message: "ads: this replica has no snapshot yet" });
        return;
      }
      for (const type of sendOrder) {
        const subscription = this.#subscriptions.get(type);
        if (subscription === undefined || !this.#mayPush(type, subscription)) continue;
        // Removals of clusters wait: see below.
        this.#send(subscription, type, subscription.updateTo(snapshot, type === TypeUrl.cluster), snapshot);
        if (this.#blocked) return;
      }
      if (!this.#allAnswered()) return;
      // Every route that named a removed cluster has been replaced, and the client has said so.
      const clusters = this.#subscriptions.get(TypeUrl.cluster);
      if (clusters !== undefined) {
        this.#send(clusters, TypeUrl.cluster, clusters.updateTo(snapshot, false), snapshot);
      }
      if (this.#allAnswered()) this.#version = snapshot.version;
    });
  }

  describe(): ConnectedClient | undefined {
    if (this.#node === undefined) return undefined;
    const types: TypeState[] = [...this.#subscriptions].map(([type, subscription]) => ({
      type,
      sent: subscription.sentVersion,
      acked: subscription.ackedVersion,
      rejection: subscription.rejection,
    }));
    return { node: this.#node, peer: this.#options.stream.peer, version: this.#version, types };
  }

  /** Takes one request; false when it ended the stream. */
  #take(request: DiscoveryRequest): boolean {
    if (this.#node === undefined) {
      if (request.node === undefined || request.node.id === "") {
        this.end({ code: StatusCode.invalidArgument, message: "ads: the first request names no node.id" });
        return false;
      }
      this.#node = request.node;
      this.#logger = this.#logger.child({ node: request.node.id });
      this.#logger.info("ads client connected");
    }
    if (request.typeUrl === "") {
      this.end({ code: StatusCode.invalidArgument, message: "ads: a request names no type_url" });
      return false;
    }
    const type = parseTypeUrl(request.typeUrl);
    if (type === undefined) {
      // A client may know more kinds of resources than there are here; for the others it falls back to its defaults.
      this.#logger.debug("ads request for a type that is not served", { type: request.typeUrl });
      return true;
    }
    let subscription = this.#subscriptions.get(type);
    if (subscription === undefined) {
      subscription = new Subscription(type);
      this.#subscriptions.set(type, subscription);
    } else if (request.responseNonce !== subscription.nonce) {
      // Overtaken by a newer response; the answer to that one will carry the client's names as they are then.
      return true;
    }
    if (subscription.nonce !== "") this.#takeAnswer(subscription, type, request);
    subscription.want(request.resourceNames);
    return true;
  }

  #takeAnswer(subscription: Subscription, type: TypeUrl, request: DiscoveryRequest): void {
    const complaint = request.errorDetail?.message.slice(0, maxComplaint);
    subscription.answer(complaint);
    if (complaint !== undefined) {
      this.#logger.warn("ads client rejected resources", { type, version: subscription.sentVersion, complaint });
      this.#options.onRejected();
    }
  }

  /** Whether a response of this type may go out now. Answers to new names always may. */
  #mayPush(type: TypeUrl, subscription: Subscription): boolean {
    if (subscription.owesAnswer || type === TypeUrl.endpoint) return true;
    if (!subscription.answered) return false;
    if (type === TypeUrl.cluster) return true;
    return this.#isAnswered(TypeUrl.cluster) && this.#isAnswered(TypeUrl.endpoint);
  }

  #isAnswered(type: TypeUrl): boolean {
    return this.#subscriptions.get(type)?.answered ?? true;
  }

  #allAnswered(): boolean {
    return sendOrder.every((type) => this.#isAnswered(type));
  }

  #send(subscription: Subscription, type: TypeUrl, update: Update | undefined, snapshot: Snapshot): void {
    if (update === undefined) return;
    this.#nonces += 1;
    const nonce = String(this.#nonces);
    const head = toBinary(
      DiscoveryResponseSchema,
      create(DiscoveryResponseSchema, {
        versionInfo: snapshot.version,
        typeUrl: type,
        nonce,
        controlPlane: { identifier: this.#options.identifier },
      }),
    );
    // Encoded messages that are joined merge: the shared parts are copied, not encoded again.
    const response = Buffer.concat([head, ...update.resources.map((resource) => resource.field)]);
    subscription.sent(update, snapshot.version, nonce);
    if (!this.#options.stream.write(response)) this.#blocked = true;
  }

  /** A fault of one stream ends that stream alone. */
  #guarded(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#logger.error("ads stream failed", { error });
      this.end({ code: StatusCode.internal, message: "ads: internal error" });
    }
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#node !== undefined) this.#logger.info("ads client left");
    this.#options.onClose();
  }
}
