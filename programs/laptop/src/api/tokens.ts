import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  randomUUID,
  sign,
  timingSafeEqual,
  verify,
} from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "@weft/foundation";
import { isRecord } from "@weft/kube";
import { at, listAt, numberAt, recordAt, textAt } from "../kinds/path.js";
import type { Json } from "../kinds/resource-kind.js";
import { writeFileAtomically } from "./atomic-file.js";

/** Who is asking. */
export interface User {
  readonly username: string;
  readonly uid: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

export const adminUser: User = {
  username: "kubernetes-admin",
  uid: "",
  groups: ["system:masters", "system:authenticated"],
  extra: {},
};

/** The audience of tokens for this API; also their issuer. */
export const apiAudience = "https://kubernetes.default.svc.cluster.local";

/** Looks up what a token is bound to. */
export interface BoundObjects {
  serviceAccount(namespace: string, name: string): Json | undefined;
  pod(namespace: string, name: string): Json | undefined;
  secret(namespace: string, name: string): Json | undefined;
}

export interface IssueRequest {
  readonly namespace: string;
  readonly account: Json;
  readonly audiences: readonly string[];
  readonly lifeSeconds: number;
  readonly boundTo: { readonly kind: "pod" | "secret"; readonly name: string; readonly uid: string } | undefined;
}

/** The tokens that this API knows: one of the administrator, and those of service accounts (JWT, ES256), which end with what they are bound to. */
export class Tokens {
  readonly adminToken: string;
  readonly #adminHash: Buffer;
  readonly #key: KeyObject;
  readonly #publicKey: KeyObject;
  readonly #clock: Clock;
  readonly #bound: BoundObjects;

  constructor(options: { readonly directory: string; readonly clock: Clock; readonly bound: BoundObjects }) {
    this.adminToken = readOrMake(join(options.directory, "admin-token"), () => randomBytes(32).toString("base64url"));
    this.#adminHash = hash(this.adminToken);
    const pem = readOrMake(join(options.directory, "token.key"), () => {
      const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
      return privateKey.export({ type: "pkcs8", format: "pem" }).toString().trim();
    });
    this.#key = createPrivateKey(pem);
    this.#publicKey = createPublicKey(this.#key);
    this.#clock = options.clock;
    this.#bound = options.bound;
  }

  issue(request: IssueRequest): { readonly token: string; readonly expiresMs: number } {
    const nowSeconds = Math.floor(this.#clock.wallMs() / 1_000);
    const endSeconds = nowSeconds + request.lifeSeconds;
    const name = textAt(request.account, "metadata", "name");
    const claims = {
      aud: request.audiences,
      exp: endSeconds,
      iat: nowSeconds,
      iss: apiAudience,
      jti: randomUUID(),
      "kubernetes.io": {
        namespace: request.namespace,
        ...(request.boundTo === undefined
          ? {}
          : { [request.boundTo.kind]: { name: request.boundTo.name, uid: request.boundTo.uid } }),
        serviceaccount: { name, uid: textAt(request.account, "metadata", "uid") },
      },
      nbf: nowSeconds,
      sub: `system:serviceaccount:${request.namespace}:${name}`,
    };
    const body = `${encode({ alg: "ES256", typ: "JWT" })}.${encode(claims)}`;
    const signature = sign("sha256", Buffer.from(body), { key: this.#key, dsaEncoding: "ieee-p1363" });
    return { token: `${body}.${signature.toString("base64url")}`, expiresMs: endSeconds * 1_000 };
  }

  /** Whose token this is; `undefined` when it is nobody's, or not meant for any of these audiences. */
  authenticate(
    token: string,
    audiences: readonly string[] = [apiAudience],
  ): { readonly user: User; readonly audiences: readonly string[] } | undefined {
    // Compared as hashes: the time it takes tells nothing of the token.
    if (timingSafeEqual(hash(token), this.#adminHash)) {
      return audiences.includes(apiAudience) ? { user: adminUser, audiences: [apiAudience] } : undefined;
    }
    const claims = this.#verified(token);
    if (claims === undefined) return undefined;
    const shared = audiences.filter((audience) => listAt(claims, "aud").includes(audience));
    const user = shared.length === 0 ? undefined : this.#userOf(claims);
    return user === undefined ? undefined : { user, audiences: shared };
  }

  #verified(token: string): Json | undefined {
    const [head, body, signature, ...rest] = token.split(".");
    if (head === undefined || body === undefined || signature === undefined || rest.length > 0) return undefined;
    if (at(decode(head), "alg") !== "ES256") return undefined;
    const signed = Buffer.from(`${head}.${body}`);
    const key = { key: this.#publicKey, dsaEncoding: "ieee-p1363" } as const;
    if (!verify("sha256", signed, key, Buffer.from(signature, "base64url"))) return undefined;
    const claims = decode(body);
    const nowSeconds = this.#clock.wallMs() / 1_000;
    if (!isRecord(claims) || claims["iss"] !== apiAudience) return undefined;
    return nowSeconds < (numberAt(claims, "exp") ?? 0) && nowSeconds >= (numberAt(claims, "nbf") ?? 0) - 5
      ? claims
      : undefined;
  }

  #userOf(claims: Json): User | undefined {
    const bound = recordAt(claims, "kubernetes.io");
    const namespace = textAt(bound, "namespace");
    const name = textAt(bound, "serviceaccount", "name");
    const uid = textAt(bound, "serviceaccount", "uid");
    const account = this.#bound.serviceAccount(namespace, name);
    if (account === undefined || textAt(account, "metadata", "uid") !== uid) return undefined;
    for (const kind of ["pod", "secret"] as const) {
      if (bound[kind] === undefined) continue;
      const object = this.#bound[kind](namespace, textAt(bound, kind, "name"));
      if (object === undefined || textAt(object, "metadata", "uid") !== textAt(bound, kind, "uid")) return undefined;
    }
    const extra: Record<string, readonly string[]> = {
      "authentication.kubernetes.io/credential-id": [`JTI=${textAt(claims, "jti")}`],
    };
    if (bound["pod"] !== undefined) {
      extra["authentication.kubernetes.io/pod-name"] = [textAt(bound, "pod", "name")];
      extra["authentication.kubernetes.io/pod-uid"] = [textAt(bound, "pod", "uid")];
    }
    return {
      username: `system:serviceaccount:${namespace}:${name}`,
      uid,
      groups: ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"],
      extra,
    };
  }
}

function hash(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

function decode(part: string): unknown {
  try {
    return JSON.parse(Buffer.from(part, "base64url").toString("utf8"));
  } catch {
    // Not a token of ours: nobody's.
    return undefined;
  }
}

function readOrMake(file: string, make: () => string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    // The first start.
    const made = make();
    writeFileAtomically(file, `${made}\n`);
    return made;
  }
}
