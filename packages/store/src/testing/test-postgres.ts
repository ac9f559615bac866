import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { locateHome } from "../embedded/data-directory.js";
import { type EmbeddedPostgres, removeEmbeddedPostgres, startEmbeddedPostgres } from "../embedded/embedded-postgres.js";

/** A server for tests that can be stopped and started again at the same address. Disposing removes it with its data. */
export interface TestPostgres extends AsyncDisposable {
  /** The superuser's URL; the same over restarts. */
  readonly url: string;
  readonly pid: number;
  /** Cuts off every session and ends the server. */
  stop(): Promise<void>;
  /** Starts it again at the same address, on the same data. */
  start(): Promise<void>;
}

/** Starts a server of its own on a free port, without safety against power loss. */
export async function startTestPostgres(): Promise<TestPostgres> {
  const directory = mkdtempSync(join(tmpdir(), "weft-test-pg-"));
  let server: EmbeddedPostgres = await startEmbeddedPostgres({ directory, durability: "none" });
  const { url, port } = server;
  let cleaner = startCleaner(server.pid, directory);
  return {
    url,
    get pid() {
      return server.pid;
    },
    async stop() {
      await server.stop();
    },
    async start() {
      cleaner.kill();
      server = await startEmbeddedPostgres({ directory, port, durability: "none" });
      cleaner = startCleaner(server.pid, directory);
    },
    async [Symbol.asyncDispose]() {
      cleaner.kill();
      await server.stop();
      await removeEmbeddedPostgres(directory);
    },
  };
}

/**
 * A test process may be killed at any moment, and a server outlives its parent. So a shell waits for the end of the pipe that only this
 * process holds open, then ends the server and removes its folders.
 */
function startCleaner(pid: number, directory: string): ChildProcess {
  const script =
    'cat >/dev/null; kill -QUIT "$1"; n=0; while kill -0 "$1" 2>/dev/null && [ $n -lt 50 ]; do sleep 0.1; n=$((n+1)); done; rm -rf "$2" "$3"';
  const child = spawn("/bin/sh", ["-c", script, "sh", String(pid), locateHome(directory), directory], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  child.unref();
  // The pipe alone would keep this process alive.
  if (child.stdin !== null && "unref" in child.stdin && typeof child.stdin.unref === "function") child.stdin.unref();
  return child;
}
