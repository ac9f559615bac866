import type { Http2Connection } from "../connection/connection.js";
import type { FieldSection } from "../hpack/field-section.js";
import { HeaderTemplate } from "../hpack/header-template.js";
import { endOfData, Http2Stream, type StreamReceiver } from "../stream/stream.js";

/** A request that is not gRPC's, whole. */
export interface PlainRequest {
  readonly fields: FieldSection;
  /** Bytes of its body; they are counted, not kept. */
  readonly bodyBytes: number;
}

/** What answers it. */
export interface PlainResponse {
  readonly status: number;
  readonly contentType: string;
  readonly body: Uint8Array;
}

/** Answers requests that are not gRPC's on a gRPC server's port, after their bodies have come. */
export type PlainHandler = (request: PlainRequest) => PlainResponse;

const emptyTemplate: readonly [] = [];

/** One plain HTTP/2 exchange: takes the body as flow control lets it come, then sends the response. */
export class PlainCall implements StreamReceiver {
  readonly stream: Http2Stream;
  readonly #handler: PlainHandler;
  readonly #fields: FieldSection;
  #bodyBytes = 0;

  constructor(connection: Http2Connection, handler: PlainHandler, fields: FieldSection) {
    this.stream = new Http2Stream(connection, this, () => {});
    this.#handler = handler;
    this.#fields = fields;
  }

  start(endStream: boolean): void {
    if (endStream) this.dataEnd();
  }

  opened(): void {}

  headers(): void {
    this.dataEnd();
  }

  data(_chunk: Buffer, start: number, end: number): void {
    this.#bodyBytes += end - start;
    this.stream.consume(end - start);
  }

  dataEnd(): void {
    const { status, contentType, body } = this.#handler({ fields: this.#fields, bodyBytes: this.#bodyBytes });
    const template = new HeaderTemplate(emptyTemplate);
    const fields = [":status", String(status), "content-type", contentType, "content-length", String(body.length)];
    this.stream.sendHeaders(template, fields, body.length === 0);
    if (body.length === 0) return;
    this.stream.sendData(body);
    this.stream.end(endOfData);
  }

  writable(): void {}

  closed(): void {}
}
