import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { inSystemFolder, type ServerFiles } from "./server-files.js";

/** Postgres refuses to run as root: there it runs as this user and group, `nobody` on every Linux. */
const unprivileged = { uid: 65534, gid: 65534 } as const;

/** The superuser's name. */
export const superuser = "weft";

/** Where one server's data is, whose it is, and how to sign in. */
export interface DataDirectory {
  /** Postgres' own data folder. */
  readonly data: string;
  /** The user to run as; nothing means the present one. */
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  /** The superuser's password. */
  readonly password: string;
}

/** True when this process is root, which Postgres refuses to be. */
export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** Where the data of the server of `directory` lies. */
export function locateHome(directory: string): string {
  if (!isRoot()) return join(directory, "pg");
  // The unprivileged user may not be able to reach the checkout, and the modes of its folders are not ours to change.
  return inSystemFolder(createHash("sha256").update(realpathSync(directory)).digest("hex").slice(0, 16));
}

/** True when the superuser's password is where an earlier start wrote it. */
export function knowsPassword(directory: string): boolean {
  return readPassword(directory) !== undefined;
}

function readPassword(directory: string): string | undefined {
  const file = passwordFileOf(directory);
  const text = existsSync(file) ? readFileSync(file, "utf8").trim() : "";
  return text === "" ? undefined : text;
}

function passwordFileOf(directory: string): string {
  return join(directory, "superuser-password");
}

/** Makes the data folder at the first use; later it is taken as it is. An initdb that was cut short is begun again. */
export function prepareDataDirectory(directory: string, files: ServerFiles, durable: boolean): DataDirectory {
  const home = locateHome(directory);
  const owner = isRoot() ? unprivileged : undefined;
  if (!existsSync(home)) {
    mkdirSync(home, { mode: 0o700 });
    if (owner !== undefined) chownSync(home, owner.uid, owner.gid);
    chmodSync(home, 0o700);
  }
  writeFileSync(join(directory, "data-directory"), `${home}\n`, { mode: 0o600 });

  const data = join(home, "data");
  const known = readPassword(directory);
  const password = known ?? randomBytes(24).toString("base64url");

  if (!existsSync(join(data, "PG_VERSION"))) initialise({ home, data, owner, password, files, durable });
  else if (known === undefined) resetPassword({ data, owner, password, files });
  // Only once the server has it: one that is in the file is never set again.
  if (known === undefined) writeFileSync(passwordFileOf(directory), `${password}\n`, { mode: 0o600 });

  const major = readFileSync(join(data, "PG_VERSION"), "utf8").trim();
  if (major !== files.major) {
    throw new Error(
      `embedded postgres: the data in ${data} is of version ${major}, this server is version ${files.major}: dump it with the old one, or remove the folder`,
    );
  }
  return { data, owner, password };
}

function initialise(options: {
  readonly home: string;
  readonly data: string;
  readonly owner: DataDirectory["owner"];
  readonly password: string;
  readonly files: ServerFiles;
  readonly durable: boolean;
}): void {
  const { home, data, owner, files } = options;
  const scratch = join(home, "data.new");
  const passwordFile = join(home, "initdb-password");
  rmSync(scratch, { recursive: true, force: true });
  try {
    writeFileSync(passwordFile, `${options.password}\n`, { mode: 0o600 });
    if (owner !== undefined) chownSync(passwordFile, owner.uid, owner.gid);
    const ended = spawnSync(
      join(files.bin, "initdb"),
      [
        ...["--pgdata", scratch, "--username", superuser, "--pwfile", passwordFile],
        ...["--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-instructions"],
        ...(options.durable ? [] : ["--no-sync"]),
      ],
      { cwd: home, env: files.env, encoding: "utf8", ...owner },
    );
    requireSuccess("initdb", ended);
  } finally {
    rmSync(passwordFile, { force: true });
  }
  // Whatever loopback address a peer has, and nobody from elsewhere. The file keeps its owner.
  writeFileSync(
    join(scratch, "pg_hba.conf"),
    "host all all 127.0.0.0/8 scram-sha-256\nhost all all ::1/128 scram-sha-256\n",
  );
  renameSync(scratch, data);
}

/** Sets a new superuser password through a single-user server: for data whose password file was lost. */
function resetPassword(options: {
  readonly data: string;
  readonly owner: DataDirectory["owner"];
  readonly password: string;
  readonly files: ServerFiles;
}): void {
  const ended = spawnSync(join(options.files.bin, "postgres"), ["--single", "-D", options.data, "postgres"], {
    cwd: options.data,
    env: options.files.env,
    encoding: "utf8",
    // base64url holds no quote
    input: `ALTER ROLE ${superuser} PASSWORD '${options.password}'\n`,
    ...options.owner,
  });
  requireSuccess("postgres --single", ended);
}

function requireSuccess(program: string, ended: SpawnSyncReturns<string>): void {
  if (ended.error !== undefined) throw new Error(`embedded postgres: ${program} did not start`, { cause: ended.error });
  if (ended.status !== 0) {
    throw new Error(`embedded postgres: ${program} ended with ${ended.status ?? ended.signal}: ${ended.stderr.trim()}`);
  }
}
