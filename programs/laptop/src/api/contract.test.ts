import { runKubeContract } from "@weft/kube/testing";
import { startApi } from "./testing/fixture.js";

runKubeContract(
  "the laptop's API",
  async () => {
    const api = await startApi();
    return {
      server: api.admin,
      compact: async () => api.compact(),
      [Symbol.asyncDispose]: () => api[Symbol.asyncDispose](),
    };
  },
  { compacts: true },
);
