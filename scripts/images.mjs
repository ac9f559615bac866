// Builds the image of every service from the one Dockerfile, with docker or buildah, and pushes them where asked.
//
//   npm run images -- [NAME…] [--registry ghcr.io/weft-mesh] [--tag dev] [--push] [--tool docker|buildah] [--platforms linux/amd64,linux/arm64]
//
// Standard output has one line an image, `NAME REFERENCE`, with the digest behind the reference once buildah has pushed it; all else goes to standard error.
// --bases local (or WEFT_BASE_IMAGES=local): base images by tag from the tool's own store, for a machine that reaches no registry.
// --plain-http (or WEFT_IMAGES_PLAIN_HTTP=1): the registry speaks HTTP; docker has this in its daemon's settings instead.
// --no-cache: every layer is made anew, to see that the same comes out.
// --skaffold: one image as skaffold's custom builder asks for it, by IMAGE, PUSH_IMAGE and PLATFORMS.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { baseImagesOf } from "./base-images.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const dockerfile = join(root, "Dockerfile");

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    registry: { type: "string", default: "ghcr.io/weft-mesh" },
    tag: { type: "string", default: "dev" },
    push: { type: "boolean", default: false },
    tool: { type: "string", default: process.env["WEFT_IMAGES_TOOL"] },
    platforms: { type: "string" },
    bases: { type: "string", default: process.env["WEFT_BASE_IMAGES"] ?? "registry" },
    "plain-http": { type: "boolean", default: process.env["WEFT_IMAGES_PLAIN_HTTP"] === "1" },
    skaffold: { type: "boolean", default: false },
    "no-cache": { type: "boolean", default: false },
  },
});

const services = readdirSync(join(root, "services")).flatMap((group) => readdirSync(join(root, "services", group)));
const unknown = positionals.filter((name) => !services.includes(name));
if (unknown.length > 0) fail(`no service ${unknown.join(", ")}; there are ${services.join(", ")}`);
if (!["registry", "local"].includes(options.bases)) fail(`--bases is "registry" or "local", not "${options.bases}"`);
const wanted = positionals.length > 0 ? positionals : services;
if (options.skaffold && (wanted.length !== 1 || !process.env["IMAGE"])) fail("--skaffold takes one service and IMAGE");

const tool = options.tool ?? (daemonAnswers() ? "docker" : "buildah");
const platforms = options.platforms ?? (options.skaffold ? process.env["PLATFORMS"] || undefined : undefined);
const push = options.push || (options.skaffold && process.env["PUSH_IMAGE"] === "true");
const revision = gitRevision();
const version = JSON.parse(readFileSync(join(root, "package.json"), "utf8")).version;

// The first build makes the layers that all share; the others then find them and run side by side.
const [first, ...others] = wanted;
const done = [await imageOf(first)];
const queue = [...others];
await Promise.all(
  Array.from({ length: 2 }, async () => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) done.push(await imageOf(name));
  }),
);
for (const name of wanted) {
  const built = done.find((one) => one.name === name);
  process.stdout.write(`${name} ${built.reference}\n`);
}

/** Builds one image and pushes it if asked; gives its reference. */
async function imageOf(name) {
  const image = options.skaffold ? process.env["IMAGE"] : `${options.registry}/${name}:${options.tag}`;
  const builder = { docker: withDocker, buildah: withBuildah }[tool];
  if (builder === undefined) fail(`--tool is "docker" or "buildah", not "${tool}"`);
  const digest = await builder(name, image);
  return { name, reference: digest === undefined ? image : `${image}@${digest}` };
}

async function withBuildah(name, image) {
  const several = platforms?.includes(",") ?? false;
  const target = several ? ["--manifest", image] : ["--tag", image];
  if (several) spawnSync("buildah", ["manifest", "rm", image], { stdio: "ignore" });
  await run("buildah", [
    "build",
    "--layers",
    // Everything in an image dates from the epoch: the same input gives the same layers.
    ...["--timestamp", "0"],
    ...["--isolation", process.env["BUILDAH_ISOLATION"] ?? (process.getuid?.() === 0 ? "chroot" : "rootless")],
    ...(options.bases === "local" ? ["--pull-never"] : []),
    ...(options["no-cache"] ? ["--no-cache"] : []),
    // Docker knows BUILDPLATFORM by itself; this buildah builds stages of another platform only when told.
    ...(platforms === undefined ? [] : ["--platform", platforms, "--build-arg", `BUILDPLATFORM=${ownPlatform()}`]),
    ...buildArguments(name),
    // Its cache does not see that an argument has another value in LABEL and ENV: these are said again, as what they become.
    ...["--label", `org.opencontainers.image.version=${version}`],
    ...["--label", `org.opencontainers.image.revision=${revision}`],
    ...["--env", `WEFT_VERSION=${version}`],
    ...["--file", dockerfile],
    ...target,
    root,
  ]);
  if (!push) return undefined;
  const folder = mkdtempSync(join(tmpdir(), "weft-images-"));
  try {
    const digestFile = join(folder, "digest");
    const how = ["--digestfile", digestFile, ...(options["plain-http"] ? ["--tls-verify=false"] : [])];
    if (several) await run("buildah", ["manifest", "push", "--all", ...how, image, `docker://${image}`]);
    else await run("buildah", ["push", ...how, image]);
    return readFileSync(digestFile, "utf8").trim();
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function withDocker(name, image) {
  await run("docker", [
    ...["buildx", "build"],
    ...["--build-arg", "SOURCE_DATE_EPOCH=0"],
    // An attestation names the time and place of a build, and so no two images would be the same.
    "--provenance=false",
    ...(options["no-cache"] ? ["--no-cache"] : []),
    ...(platforms === undefined ? [] : ["--platform", platforms]),
    ...buildArguments(name),
    ...["--file", dockerfile, "--tag", image],
    push ? "--push" : "--load",
    root,
  ]);
  return undefined;
}

function buildArguments(name) {
  const bases = options.bases === "local" ? baseImagesOf(dockerfile) : [];
  const given = {
    SERVICE: name,
    VERSION: version,
    REVISION: revision,
    ...Object.fromEntries(bases.map((base) => [base.name, `${base.registry}/${base.repository}:${base.tag}`])),
  };
  return Object.entries(given).flatMap(([key, value]) => ["--build-arg", `${key}=${value}`]);
}

/** The commit that is built; of files that are in no commit yet it says so. */
function gitRevision() {
  const git = (...args) => execFileSync("git", ["-C", root, ...args], { encoding: "utf8", stdio: "pipe" }).trim();
  try {
    return git("rev-parse", "HEAD") + (git("status", "--porcelain") === "" ? "" : "-modified");
  } catch {
    return "unknown"; // not a checkout
  }
}

function ownPlatform() {
  return `linux/${process.arch === "x64" ? "amd64" : process.arch}`;
}

function daemonAnswers() {
  return spawnSync("docker", ["version"], { stdio: "ignore" }).status === 0;
}

/** Runs a program; what it prints is shown only when it fails, so that ten builds stay readable. */
function run(command, args) {
  return new Promise((resolve, reject) => {
    process.stderr.write(
      `${command} ${args
        .filter((arg) => !arg.startsWith("--"))
        .slice(-2)
        .join(" ")}\n`,
    );
    const child = spawn(command, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { STORAGE_DRIVER: "overlay", DOCKER_BUILDKIT: "1", ...process.env },
    });
    let printed = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (printed += chunk));
    child.once("error", reject);
    child.once("close", (code) => {
      if (code === 0) return resolve(undefined);
      process.stderr.write(printed);
      reject(new Error(`${command} ${args.join(" ")} ended with ${code}`));
    });
  });
}

function fail(message) {
  process.stderr.write(`images: ${message}\n`);
  process.exit(2);
}
