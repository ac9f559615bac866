import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  DiscoveryRequestSchema,
  type DiscoveryResponse,
  DiscoveryResponseSchema,
} from "@weft/contracts/envoy/service/discovery/v3";
import { eventually } from "@weft/foundation/testing";
import type { ClientStream, Connection, StreamOutcome } from "@weft/wire";
import { adsPath } from "../client/ads-client.js";
import type { TypeUrl } from "../type-urls.js";

/** What a scripted client asks. */
export interface ScriptedRequest {
  readonly type: TypeUrl | (string & {});
  readonly names?: readonly string[];
  readonly nonce?: string;
  readonly version?: string;
  /** Rejects the response of that nonce. */
  readonly error?: string;
}

/** A client that does only what it is told, message by message. */
export class ScriptedAdsClient {
  readonly #stream: ClientStream;
  readonly #node: string;
  readonly #responses: DiscoveryResponse[] = [];
  #taken = 0;
  #first = true;
  #outcome: StreamOutcome | undefined;

  /** Opens the stream. `read` messages are granted, all by default. */
  constructor(connection: Connection, options: { readonly node?: string; readonly read?: number } = {}) {
    this.#node = options.node ?? "test.default";
    this.#stream = connection.open(
      { path: adsPath, metadata: [] },
      {
        head: () => {},
        message: (bytes) => void this.#responses.push(fromBinary(DiscoveryResponseSchema, bytes)),
        end: (outcome) => {
          this.#outcome = outcome;
        },
      },
    );
    const read = options.read ?? Number.MAX_SAFE_INTEGER;
    if (read > 0) this.#stream.read(read);
  }

  /** How many responses came so far. */
  get received(): number {
    return this.#responses.length;
  }

  /** Sends a request; the first one carries the node. */
  send(request: ScriptedRequest): void {
    const message = create(DiscoveryRequestSchema, {
      typeUrl: request.type,
      resourceNames: [...(request.names ?? [])],
      responseNonce: request.nonce ?? "",
      versionInfo: request.version ?? "",
    });
    if (this.#first && this.#node !== "")
      message.node = create(DiscoveryRequestSchema, { node: { id: this.#node } }).node;
    if (request.error !== undefined) {
      message.errorDetail = create(DiscoveryRequestSchema, {
        errorDetail: { code: 3, message: request.error },
      }).errorDetail;
    }
    this.#first = false;
    this.sendBytes(toBinary(DiscoveryRequestSchema, message));
  }

  /** Sends any bytes as a message. */
  sendBytes(bytes: Uint8Array): void {
    this.#stream.write(bytes);
  }

  /** Accepts a response, asking for the same or other names. */
  ack(response: DiscoveryResponse, names: readonly string[] = []): void {
    this.send({ type: response.typeUrl, names, nonce: response.nonce, version: response.versionInfo });
  }

  /** The next response that was not taken yet, now or soon. */
  async next(): Promise<DiscoveryResponse> {
    const response = await eventually(() => this.#responses[this.#taken] ?? this.#ended(), {
      ceilingMs: 10_000,
      everyMs: 1,
      what: "an ADS response",
    });
    if (!("nonce" in response)) throw new Error(`the stream ended ${JSON.stringify(response.status)}`);
    this.#taken += 1;
    return response;
  }

  /** How the stream ended, now or soon. */
  outcome(): Promise<StreamOutcome> {
    return eventually(() => this.#outcome, { ceilingMs: 10_000, everyMs: 1, what: "the end of the stream" });
  }

  #ended(): StreamOutcome | undefined {
    return this.#outcome;
  }

  /** Grants more responses. */
  read(count: number): void {
    this.#stream.read(count);
  }

  /** Goes away. */
  cancel(): void {
    this.#stream.reset({ code: 1, message: "the test is over" });
  }
}
