import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { run } from "../e2e/laptop.js";
import { root } from "./environment.js";

const digest = `sha256:${"7".repeat(64)}`;
let folder = "";
let dockerfile = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weft-digests-"));
  dockerfile = join(folder, "Dockerfile");
  copyFileSync(join(root, "Dockerfile"), dockerfile);
});

afterEach(() => rmSync(folder, { recursive: true }));

const refresh = (registry: string, ...args: readonly string[]) =>
  run(process.execPath, ["scripts/refresh-digests.mjs", "--registry", registry, "--dockerfile", dockerfile, ...args]);

/** A registry as the public ones are: anybody may read, with the token that its challenge leads to. */
async function startRegistry(): Promise<AsyncDisposable & { readonly url: string; readonly asked: readonly string[] }> {
  const asked: string[] = [];
  const server = createServer((request, answer) => {
    const url = new URL(request.url ?? "", `http://${request.headers.host}`);
    if (url.pathname === "/token") {
      answer.end(JSON.stringify({ token: `for ${url.searchParams.get("scope")}` }));
      return;
    }
    const repository = /^\/v2\/(.+)\/manifests\//.exec(url.pathname)?.[1];
    const scope = `repository:${repository}:pull`;
    if (request.headers.authorization !== `Bearer for ${scope}`) {
      answer.statusCode = 401;
      answer.setHeader("www-authenticate", `Bearer realm="http://${url.host}/token",service="here",scope="${scope}"`);
    } else {
      asked.push(`${request.method} ${url.pathname}`);
      answer.setHeader("docker-content-digest", digest);
    }
    answer.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`,
    asked,
    async [Symbol.asyncDispose]() {
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test("the digests of the base images are asked from a registry and written behind their tags, in one place", async () => {
  await using registry = await startRegistry();
  const before = await refresh(registry.url, "--check");
  expect(before.code, "what is not pinned is told").toBe(1);

  const first = await refresh(registry.url);
  expect(first.code, first.stderr).toBe(0);
  const pinned = [...readFileSync(dockerfile, "utf8").matchAll(/^ARG (NODE_\w+)=(\S+)$/gm)].map(([, , image]) => image);
  expect(pinned).toHaveLength(2);
  for (const image of pinned) expect(image).toMatch(new RegExp(`^[a-z.]+/[^:@]+:[^:@]+@${digest}$`));
  expect(new Set(registry.asked)).toEqual(
    new Set([
      "HEAD /v2/library/node/manifests/24-bookworm-slim",
      "HEAD /v2/distroless/nodejs24-debian12/manifests/nonroot",
    ]),
  );

  expect((await refresh(registry.url, "--check")).code, "a second time nothing is old").toBe(0);
  const others = readFileSync(dockerfile, "utf8").replaceAll(`@${digest}`, "");
  expect(others, "nothing else is changed").toBe(
    readFileSync(join(root, "Dockerfile"), "utf8").replaceAll(/@sha256:\w+/g, ""),
  );
});

test("a registry that cannot be reached is told and leaves the file as it was", async () => {
  const before = readFileSync(dockerfile, "utf8");
  const result = await refresh("http://127.0.0.1:1");
  expect(result.code).toBe(1);
  expect(result.stderr).toContain("docker.io/library/node:24-bookworm-slim: ");
  expect(readFileSync(dockerfile, "utf8")).toBe(before);
});
