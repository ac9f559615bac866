import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from "node:crypto";
import { type Parsed, parsed, refused } from "@weft/foundation";

/** A service's own key, from which what it stores is hashed and sealed. Without it a stolen table tells nothing. */
export interface DataKey {
  /** HMAC-SHA-256 under a key of its own. */
  hash(purpose: string, bytes: Uint8Array): Uint8Array;
  /** AES-256-GCM; `context` must be the same when it is opened. */
  seal(context: string, plain: Uint8Array): Uint8Array;
  /** The plain bytes, or why not: another key, another context, or damage. */
  open(context: string, sealed: Uint8Array): Parsed<Uint8Array>;
}

const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;

/** Makes a data key of 32 random bytes, `WEFT_DATA_KEY` of a service; throws on any other number. Hashing and sealing use keys derived from it (HKDF, RFC 5869), never the key itself. */
export function createDataKey(bytes: Uint8Array): DataKey {
  if (bytes.byteLength !== keyBytes) throw new TypeError(`data key: ${bytes.byteLength} bytes, not ${keyBytes}`);
  const derive = (use: string): Buffer => Buffer.from(hkdfSync("sha256", bytes, "", `weft/v1/${use}`, keyBytes));
  const hashKey = derive("hash");
  const sealKey = derive("seal");
  return {
    hash(purpose, plain) {
      return createHmac("sha256", hashKey).update(purpose).update("\0").update(plain).digest();
    },
    seal(context, plain) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv("aes-256-gcm", sealKey, nonce).setAAD(Buffer.from(context));
      return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
    },
    open(context, sealed) {
      if (sealed.byteLength < nonceBytes + tagBytes) return refused("sealed value: too short");
      const decipher = createDecipheriv("aes-256-gcm", sealKey, sealed.subarray(0, nonceBytes), {
        authTagLength: tagBytes,
      });
      decipher.setAAD(Buffer.from(context)).setAuthTag(sealed.subarray(-tagBytes));
      try {
        const plain = decipher.update(sealed.subarray(nonceBytes, -tagBytes));
        return parsed(Buffer.concat([plain, decipher.final()]));
      } catch {
        // The tag does not fit; which of the reasons it is cannot be told.
        return refused("sealed value: made with another key or for another place, or damaged");
      }
    },
  };
}
