// Writes into the Dockerfile what each base image's tag means now, as `name:tag@sha256:…`: `npm run images:refresh`.
// Asks each image's own registry by the distribution API (anonymous token included), for the digest of the index over all platforms.
//
// --registry URL: asks there instead, for a mirror. --dockerfile FILE: another file. --check: writes nothing, exits 1 if a digest is old or absent.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { baseImagesOf, withDigest } from "./base-images.mjs";

const { values: options } = parseArgs({
  options: {
    registry: { type: "string" },
    dockerfile: { type: "string", default: fileURLToPath(new URL("../Dockerfile", import.meta.url)) },
    check: { type: "boolean", default: false },
  },
});

const accept = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
].join(", ");

let old = 0;
let failed = 0;
for (const base of baseImagesOf(options.dockerfile)) {
  const name = `${base.registry}/${base.repository}:${base.tag}`;
  try {
    const digest = await digestOf(base);
    if (digest === base.digest) {
      process.stdout.write(`${name} is still ${digest}\n`);
      continue;
    }
    old += 1;
    process.stdout.write(`${name} was ${base.digest ?? "not pinned"}, is ${digest}\n`);
    if (!options.check) {
      writeFileSync(options.dockerfile, withDigest(readFileSync(options.dockerfile, "utf8"), base.name, digest));
    }
  } catch (error) {
    failed += 1;
    process.stderr.write(`${name}: ${error.message}${error.cause === undefined ? "" : ` (${error.cause.message})`}\n`);
  }
}
process.exitCode = failed > 0 || (options.check && old > 0) ? 1 : 0;

/** What a registry has under an image's tag. */
async function digestOf({ registry, repository, tag }) {
  const host = registry === "docker.io" ? "registry-1.docker.io" : registry;
  const url = `${options.registry ?? `https://${host}`}/v2/${repository}/manifests/${tag}`;
  const ask = (headers) =>
    fetch(url, { method: "HEAD", headers: { accept, ...headers }, signal: AbortSignal.timeout(30_000) });
  let answer = await ask({});
  const challenge = answer.headers.get("www-authenticate");
  if (answer.status === 401 && challenge !== null) answer = await ask({ authorization: await anonymous(challenge) });
  if (!answer.ok) throw new Error(`the registry answered ${answer.status}`);
  const digest = answer.headers.get("docker-content-digest");
  if (!/^sha256:[0-9a-f]{64}$/.test(digest ?? "")) throw new Error(`the registry named no digest, but "${digest}"`);
  return digest;
}

/** The token that a registry gives to anybody, from where its challenge says. */
async function anonymous(challenge) {
  const fields = Object.fromEntries([...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, value]) => [key, value]));
  if (fields.realm === undefined) throw new Error(`no realm in the challenge "${challenge}"`);
  const url = new URL(fields.realm);
  for (const key of ["service", "scope"]) if (fields[key] !== undefined) url.searchParams.set(key, fields[key]);
  const answer = await fetch(url, { signal: AbortSignal.timeout(30_000) });
  if (!answer.ok) throw new Error(`${url.origin} gave no token: ${answer.status}`);
  const { token, access_token: accessToken } = await answer.json();
  return `Bearer ${token ?? accessToken}`;
}
