export { type CertificateAuthority, type CertificateRequest, createAuthority, type KeyPair } from "./authority.js";
export {
  certificatesIn,
  createServerIdentity,
  isUsableIdentity,
  type ServerIdentity,
  type ServerNames,
} from "./server-identity.js";
