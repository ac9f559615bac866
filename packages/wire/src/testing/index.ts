export { testCertificates } from "./certificates.js";
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
