import type { FieldSection } from "../hpack/field-section.js";
import { emptyMetadata, type Metadata, type MetadataEntry } from "../metadata.js";
import { okStatus, parseStatusCode, type Status, StatusCode } from "../status.js";
import { fieldBreach } from "../stream/field-rules.js";
import { fieldToMetadata, fromBase64 } from "./metadata-fields.js";
import { decodeStatusMessage } from "./status-message.js";

/**
 * The head or the trailers of a response, as HTTP (RFC 9113 §8.3.2) and gRPC understand them. As with requests, the shared beginning of many header
 * blocks is made out once.
 */
export class ResponseFields {
  /** `:status`; 0 without, as trailers have to be. */
  httpStatus = 0;
  contentType = "";
  encoding = "identity";
  /** `grpc-status`; -1 without. */
  grpcStatus = -1;
  grpcMessage = "";
  details: Uint8Array | undefined = undefined;
  metadata: Metadata = emptyMetadata;
  breach: string | undefined = undefined;
  #isRegular = false;
  #own: MetadataEntry[] | undefined;

  static of(section: FieldSection): ResponseFields {
    if (section.memo instanceof ResponseFields) return section.memo;
    const fields = section.base === undefined ? new ResponseFields() : ResponseFields.of(section.base).#fork();
    const { names, values } = section;
    for (let i = 0; i < names.length; i += 1) fields.#add(names[i] ?? "", values[i] ?? "");
    section.memo = fields;
    return fields;
  }

  /** The status that these fields carry, if any. */
  get status(): Status | undefined {
    if (this.grpcStatus < 0) return undefined;
    if (this.grpcStatus === 0) return okStatus;
    const code = parseStatusCode(this.grpcStatus);
    const message = decodeStatusMessage(this.grpcMessage);
    return this.details === undefined ? { code, message } : { code, message, details: this.details };
  }

  #fork(): ResponseFields {
    const fields = new ResponseFields();
    fields.httpStatus = this.httpStatus;
    fields.contentType = this.contentType;
    fields.encoding = this.encoding;
    fields.grpcStatus = this.grpcStatus;
    fields.grpcMessage = this.grpcMessage;
    fields.details = this.details;
    fields.metadata = this.metadata;
    fields.breach = this.breach;
    fields.#isRegular = this.#isRegular;
    return fields;
  }

  #add(name: string, value: string): void {
    if (name.charCodeAt(0) === 0x3a) {
      this.#pseudo(name, value);
      return;
    }
    this.#isRegular = true;
    this.breach ??= fieldBreach(name, value);
    switch (name) {
      case "content-type":
        this.contentType = value;
        break;
      case "grpc-encoding":
        this.encoding = value;
        break;
      case "grpc-status":
        this.grpcStatus = /^\d{1,3}$/.test(value) ? Number(value) : StatusCode.unknown;
        break;
      case "grpc-message":
        this.grpcMessage = value;
        break;
      case "grpc-status-details-bin":
        this.details = fromBase64(value);
        break;
      default:
        this.#own ??= [...this.metadata];
        this.metadata = this.#own;
        fieldToMetadata(name, value, this.#own);
    }
  }

  #pseudo(name: string, value: string): void {
    if (name !== ":status") this.breach ??= `${JSON.stringify(name)} is not a pseudo-header field of responses`;
    else if (this.#isRegular) this.breach ??= "a pseudo-header field after a regular one";
    else if (this.httpStatus !== 0 || !/^\d{3}$/.test(value)) this.breach ??= ":status twice, or none";
    else this.httpStatus = Number(value);
  }
}

/** The code of a response without a gRPC status (grpc/doc/http-grpc-status-mapping.md). */
export function codeOfHttpStatus(httpStatus: number): StatusCode {
  switch (httpStatus) {
    case 400:
      return StatusCode.internal;
    case 401:
      return StatusCode.unauthenticated;
    case 403:
      return StatusCode.permissionDenied;
    case 404:
      return StatusCode.unimplemented;
    case 429:
    case 502:
    case 503:
    case 504:
      return StatusCode.unavailable;
    default:
      return StatusCode.unknown;
  }
}
