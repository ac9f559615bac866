import type { FieldSection } from "../hpack/field-section.js";
import { emptyMetadata, type Metadata, type MetadataEntry } from "../metadata.js";
import { fieldBreach } from "../stream/field-rules.js";
import { fieldToMetadata } from "./metadata-fields.js";
import { decodeTimeout } from "./timeout.js";

/** The bits of {@link RequestHead} that say which pseudo-header fields have come, for none may come twice (RFC 9113 §8.3). */
const Seen = { method: 1, scheme: 2, path: 4, authority: 8 } as const;
const required = Seen.method | Seen.scheme | Seen.path;

/**
 * The head of a request as HTTP (RFC 9113 §8.3.1) and gRPC understand it. What the shared beginning of many header blocks means is made
 * out once; each request that begins so copies that and adds its own fields.
 */
export class RequestHead {
  method = "";
  scheme = "";
  path = "";
  authority = "";
  contentType = "";
  encoding = "identity";
  acceptEncoding = "";
  /** Milliseconds of `grpc-timeout`. */
  timeoutMs: number | undefined = undefined;
  isTimeoutBroken = false;
  /** Value of `content-length`; -1 without. */
  contentLength = -1;
  metadata: Metadata = emptyMetadata;
  /** Why the request is malformed (RFC 9113 §8.1.1), if it is. */
  breach: string | undefined = undefined;
  #seen = 0;
  #isRegular = false;
  #own: MetadataEntry[] | undefined;

  static of(section: FieldSection): RequestHead {
    if (section.memo instanceof RequestHead) return section.memo;
    const head = section.base === undefined ? new RequestHead() : RequestHead.of(section.base).#fork();
    const { names, values } = section;
    for (let i = 0; i < names.length; i += 1) head.#add(names[i] ?? "", values[i] ?? "");
    section.memo = head;
    return head;
  }

  /** Whether a whole request may begin so; a shared beginning alone need not be one. */
  get isComplete(): boolean {
    return (this.#seen & required) === required && this.path !== "";
  }

  #fork(): RequestHead {
    const head = new RequestHead();
    head.method = this.method;
    head.scheme = this.scheme;
    head.path = this.path;
    head.authority = this.authority;
    head.contentType = this.contentType;
    head.encoding = this.encoding;
    head.acceptEncoding = this.acceptEncoding;
    head.timeoutMs = this.timeoutMs;
    head.isTimeoutBroken = this.isTimeoutBroken;
    head.contentLength = this.contentLength;
    head.metadata = this.metadata;
    head.breach = this.breach;
    head.#seen = this.#seen;
    head.#isRegular = this.#isRegular;
    return head;
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
      case "grpc-timeout":
        this.timeoutMs = decodeTimeout(value);
        this.isTimeoutBroken = this.timeoutMs === undefined;
        break;
      case "grpc-encoding":
        this.encoding = value;
        break;
      case "grpc-accept-encoding":
        this.acceptEncoding = value;
        break;
      case "content-length":
        this.#length(value);
        break;
      default:
        this.#own ??= [...this.metadata];
        this.metadata = this.#own;
        fieldToMetadata(name, value, this.#own);
    }
  }

  #length(value: string): void {
    const length = /^\d{1,15}$/.test(value) ? Number(value) : -1;
    if (length < 0 || (this.contentLength >= 0 && this.contentLength !== length))
      this.breach ??= "a broken content-length";
    this.contentLength = length;
  }

  #pseudo(name: string, value: string): void {
    if (this.#isRegular) this.breach ??= "a pseudo-header field after a regular one";
    switch (name) {
      case ":method":
        this.method = value;
        this.#once(Seen.method, name);
        break;
      case ":scheme":
        this.scheme = value;
        this.#once(Seen.scheme, name);
        break;
      case ":path":
        this.path = value;
        this.#once(Seen.path, name);
        break;
      case ":authority":
        this.authority = value;
        this.#once(Seen.authority, name);
        break;
      default:
        this.breach ??= `${JSON.stringify(name)} is not a pseudo-header field of requests`;
    }
  }

  #once(bit: number, name: string): void {
    if ((this.#seen & bit) !== 0) this.breach ??= `${name} twice`;
    this.#seen |= bit;
  }
}

/** Why request trailers are malformed: they hold no pseudo-header fields (RFC 9113 §8.1). */
export function trailersBreach(section: FieldSection): string | undefined {
  for (const [name, value] of section) {
    if (name.startsWith(":")) return "a pseudo-header field in trailers";
    const breach = fieldBreach(name, value);
    if (breach !== undefined) return breach;
  }
  return undefined;
}
