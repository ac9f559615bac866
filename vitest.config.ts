import { defineConfig } from "vitest/config";

/** Which files each tier runs; `--mode NAME` picks one, the default is the fast tier (`npm test`). */
const tiers = ["system", "interop", "cluster", "long"];

export default defineConfig(({ mode }) => {
  const tier = tiers.includes(mode) ? mode : undefined;
  return {
    // Node 20 has no native `using`: let the compiler lower it.
    oxc: { target: "es2022" },
    resolve: { conditions: ["@weft/source"] },
    ssr: { resolve: { conditions: ["@weft/source"] } },
    test: {
      include: tier === undefined ? ["**/*.test.ts"] : [`**/*.${tier}.test.ts`],
      exclude: [
        "**/node_modules/**",
        "**/dist/**",
        ".tsbuild/**",
        ...(tier === undefined ? tiers.map((name) => `**/*.${name}.test.ts`) : []),
      ],
      testTimeout: 30_000,
      hookTimeout: 60_000,
      // Both cores of a small machine, no more: process tests share them.
      maxWorkers: 2,
      fileParallelism: tier === undefined,
      passWithNoTests: tier !== undefined,
      ...(tier === "cluster" || tier === "long" ? { globalSetup: ["tests/cluster/provide-cluster.ts"] } : {}),
    },
  };
});
