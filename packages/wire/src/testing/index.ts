export { testCertificates } from "./certificates.js";
export type { TransportGap } from "./contract/gaps.js";
export { runTransportContract } from "./contract.js";
export {
  bytesOf,
  callOnce,
  echo,
  endWith,
  hanging,
  listenOn,
  openProbe,
  type Pair,
  type Probe,
  startPair,
} from "./fixture.js";
