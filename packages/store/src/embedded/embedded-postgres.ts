import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join, resolve } from "node:path";
import { type Clock, type Logger, silentLogger, sleep, systemClock } from "@weft/foundation";
import pg from "pg";
import {
  type DataDirectory,
  isRoot,
  knowsPassword,
  locateHome,
  prepareDataDirectory,
  superuser,
} from "./data-directory.js";
import { findPostmaster, isAlive, type Postmaster, stopPostmaster } from "./postmaster.js";
import { prepareServerFiles, type ServerFiles } from "./server-files.js";

export interface EmbeddedPostgresOptions {
  /** A folder of the caller's for this server alone, made with mode 0700 when absent. Absolute, or relative to the working folder. */
  readonly directory: string;
  /** The address to listen on. Default `127.0.0.1`. */
  readonly host?: string;
  /** The port to listen on. 0, the default, takes a free one. */
  readonly port?: number;
  /** Where the server writes its log. Default `<directory>/postgres.log`. */
  readonly logFile?: string;
  /** `none` gives up safety against power loss for speed: for tests. Default `full`. */
  readonly durability?: "full" | "none";
  /** Default 200: during a rolling restart old and new replicas hold a pool each. */
  readonly maxConnections?: number;
  /** How long a start, recovery included, may take. Default 60 s. */
  readonly startTimeoutMs?: number;
  /** How long a fast shutdown may take before it is forced. Default 5 s. */
  readonly stopTimeoutMs?: number;
  /** Ends the wait for the start. */
  readonly signal?: AbortSignal;
  readonly logger?: Logger;
  readonly clock?: Clock;
}

/** A running Postgres server of ours. Disposing stops it. */
export interface EmbeddedPostgres extends AsyncDisposable {
  /** For the superuser, database `postgres`: `postgres://weft:…@127.0.0.1:5432/postgres`. A secret. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly pid: number;
  /** True when the server was left running by a process that died, and was taken over. */
  readonly adopted: boolean;
  /** Resolves when the server has ended, whoever ended it. */
  readonly exited: Promise<void>;
  /** Shuts it down: sessions are cut off, everything is written. May be called again. */
  stop(): Promise<void>;
}

/**
 * Starts the Postgres server that npm installed, on data in or beside `directory`.
 *
 *   nothing runs on the data ─────────────────────────────→ start
 *   left running, same address and port ──────────────────→ adopt
 *   left running elsewhere, or not answering ─────────────→ stop, then start
 *
 * The server stands in a session of its own: a Ctrl-C in the terminal does not reach it, and it survives its parent.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { clock = systemClock, logger = silentLogger, host = "127.0.0.1" } = options;
  const directory = resolve(options.directory);
  const fastMs = options.stopTimeoutMs ?? 5_000;
  const durable = options.durability !== "none";
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const files = prepareServerFiles(directory, isRoot());
  // A password that was lost can only be set anew while no server runs on the data.
  const locked = knowsPassword(directory) ? undefined : findPostmaster(join(locateHome(directory), "data"));
  if (locked !== undefined) await stopPostmaster(locked.pid, { fastMs, clock });
  const home = prepareDataDirectory(directory, files, durable);
  const logFile = resolve(options.logFile ?? join(directory, "postgres.log"));
  const wait: Wait = {
    clock,
    signal: options.signal ?? new AbortController().signal,
    untilMs: clock.nowMs() + (options.startTimeoutMs ?? 60_000),
  };

  const left = findPostmaster(home.data);
  if (left !== undefined) {
    if (left.host === host && (options.port === undefined || options.port === 0 || options.port === left.port)) {
      const url = urlOf(home, host, left.port);
      const adoptable = await becomesReady(home, left, url, wait);
      if (adoptable) {
        logger.info("postgres adopted", { pid: left.pid, host, port: left.port });
        return handleOf({
          url,
          host,
          port: left.port,
          pid: left.pid,
          adopted: true,
          exited: pollExit(left.pid, clock),
          fastMs,
        });
      }
    }
    logger.warn("stopping a postgres server that was left running", {
      pid: left.pid,
      host: left.host,
      port: left.port,
    });
    await stopPostmaster(left.pid, { fastMs, clock });
  }

  const port = options.port === undefined || options.port === 0 ? await freePort(host) : options.port;
  const child = launch({ files, home, host, port, logFile, durable, maxConnections: options.maxConnections ?? 200 });
  const exited = new Promise<void>((done) => {
    child.once("exit", () => done());
    child.once("error", () => done());
  });
  const url = urlOf(home, host, port);
  try {
    const postmaster = await startedPostmaster(child, home.data, wait);
    if (postmaster === undefined || !(await becomesReady(home, postmaster, url, wait))) {
      throw new Error(`embedded postgres: the server on ${host}:${port} ended while starting: ${tailOf(logFile)}`);
    }
    logger.info("postgres started", { pid: postmaster.pid, host, port });
    return handleOf({ url, host, port, pid: postmaster.pid, adopted: false, exited, fastMs });
  } catch (error) {
    if (child.pid !== undefined) await stopPostmaster(child.pid, { fastMs, clock });
    throw error;
  }
}

/** Stops the server of `directory`, if one runs, and removes its data for good. */
export async function removeEmbeddedPostgres(directory: string): Promise<void> {
  // Never started, or its folder is gone: as root the data lies elsewhere, in a place named after the folder.
  if (!existsSync(dirname(directory))) return;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const home = locateHome(directory);
  const running = findPostmaster(join(home, "data"));
  if (running !== undefined) await stopPostmaster(running.pid, { fastMs: 5_000 });
  rmSync(home, { recursive: true, force: true });
  rmSync(directory, { recursive: true, force: true });
}

interface Wait {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly untilMs: number;
}

function launch(options: {
  readonly files: ServerFiles;
  readonly home: DataDirectory;
  readonly host: string;
  readonly port: number;
  readonly logFile: string;
  readonly durable: boolean;
  readonly maxConnections: number;
}): ChildProcess {
  const { files, home } = options;
  const settings: Record<string, string | number> = {
    listen_addresses: options.host,
    port: options.port,
    // TCP with a password only: a socket file would need a folder that both users reach.
    unix_socket_directories: "",
    max_connections: options.maxConnections,
    shared_buffers: "32MB",
    max_wal_size: "256MB",
    jit: "off",
    log_min_messages: "warning",
    ...(options.durable ? {} : { fsync: "off", full_page_writes: "off" }),
  };
  const log = openSync(options.logFile, "a", 0o600);
  try {
    const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    const child = spawn(join(files.bin, "postgres"), ["-D", home.data, ...flags], {
      cwd: home.data,
      env: files.env,
      // A file, not a pipe: the server goes on writing when its parent is gone.
      stdio: ["ignore", log, log],
      detached: true,
      ...home.owner,
    });
    // Whoever wants to know that it ended awaits `exited`; the server itself does not hold this process.
    child.unref();
    return child;
  } finally {
    closeSync(log);
  }
}

/** Waits until the child has written its own postmaster.pid; nothing when it ended first. */
async function startedPostmaster(child: ChildProcess, data: string, wait: Wait): Promise<Postmaster | undefined> {
  while (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
    const found = findPostmaster(data);
    if (found !== undefined && found.pid === child.pid) return found;
    await pause(wait);
  }
  return undefined;
}

/** Waits until the server takes the superuser's connection; false when it ended or refuses the password. */
async function becomesReady(home: DataDirectory, postmaster: Postmaster, url: string, wait: Wait): Promise<boolean> {
  while (isAlive(postmaster.pid)) {
    if (findPostmaster(home.data)?.ready === true) {
      const answer = await tryConnection(url);
      if (answer === "yes") return true;
      if (answer === "wrong-password") return false;
    }
    await pause(wait);
  }
  return false;
}

async function tryConnection(url: string): Promise<"yes" | "no" | "wrong-password"> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  // A connection that breaks later is of no interest here.
  client.on("error", () => {});
  try {
    await client.connect();
    return "yes";
  } catch (error) {
    return error instanceof pg.DatabaseError && error.code === "28P01" ? "wrong-password" : "no";
  } finally {
    await client.end().catch(() => {
      // It never connected: there is nothing to end.
    });
  }
}

async function pause(wait: Wait): Promise<void> {
  if (wait.clock.nowMs() > wait.untilMs) throw new Error("embedded postgres: the server did not become ready in time");
  await sleep(15, { clock: wait.clock, signal: wait.signal });
}

/** The end of a process that is not our child can only be asked for. */
async function pollExit(pid: number, clock: Clock): Promise<void> {
  while (isAlive(pid)) {
    await new Promise<void>((done) => clock.after(250, done).unref());
  }
}

function handleOf(options: {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly pid: number;
  readonly adopted: boolean;
  readonly exited: Promise<void>;
  readonly fastMs: number;
}): EmbeddedPostgres {
  const { fastMs, ...facts } = options;
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopping ??= stopPostmaster(facts.pid, { fastMs });
    return stopping;
  };
  return { ...facts, stop, [Symbol.asyncDispose]: stop };
}

function urlOf(home: DataDirectory, host: string, port: number): string {
  return `postgres://${superuser}:${home.password}@${host}:${port}/postgres`;
}

function tailOf(logFile: string): string {
  return readFileSync(logFile, "utf8").trim().split("\n").slice(-5).join(" | ");
}

function freePort(host: string): Promise<number> {
  return new Promise((done, fail) => {
    const server = createServer();
    server.once("error", fail);
    server.listen(0, host, () => {
      const address = server.address();
      server.close(() => {
        if (address === null || typeof address === "string")
          fail(new Error(`embedded postgres: no free port on ${host}`));
        else done(address.port);
      });
    });
  });
}
