export type { ContractTarget } from "./contract/fixture.js";
export { runKubeContract } from "./contract.js";
