import { spawn } from "node:child_process";
import { request } from "node:http";
import { connect } from "node:net";

/** What one probe asks, with every default filled in. */
export interface ProbeSpec {
  readonly action: ProbeAction;
  readonly initialDelayMs: number;
  readonly periodMs: number;
  readonly timeoutMs: number;
  readonly successThreshold: number;
  readonly failureThreshold: number;
}

export type ProbeAction =
  | {
      readonly t: "http";
      readonly host: string;
      readonly port: number;
      readonly path: string;
      readonly headers: Readonly<Record<string, string>>;
    }
  | { readonly t: "tcp"; readonly host: string; readonly port: number }
  | { readonly t: "exec"; readonly command: readonly string[]; readonly env: NodeJS.ProcessEnv; readonly cwd: string };

/** What one try found. */
export type ProbeOutcome = { readonly t: "success" } | { readonly t: "failure"; readonly message: string };

const success: ProbeOutcome = { t: "success" };

/** Runs a probe once. Never throws; a try that takes longer than its timeout is a failure. */
export function runProbe(action: ProbeAction, timeoutMs: number): Promise<ProbeOutcome> {
  switch (action.t) {
    case "http":
      return probeHttp(action, timeoutMs);
    case "tcp":
      return probeTcp(action, timeoutMs);
    case "exec":
      return probeExec(action, timeoutMs);
  }
}

function probeHttp(action: ProbeAction & { t: "http" }, timeoutMs: number): Promise<ProbeOutcome> {
  return new Promise((resolve) => {
    const call = request(
      { host: action.host, port: action.port, path: action.path, headers: action.headers, agent: false },
      (response) => {
        const status = response.statusCode ?? 0;
        let body = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          if (body.length < 1024) body += chunk;
        });
        response.on("end", () => {
          clearTimeout(timer);
          resolve(status >= 200 && status < 400 ? success : failure(`HTTP status ${status}: ${oneLine(body)}`));
        });
        response.on("error", (error) => call.destroy(error));
      },
    );
    const timer = setTimeout(() => call.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    call.on("error", (error) => {
      clearTimeout(timer);
      resolve(failure(error.message));
    });
    call.end();
  });
}

function probeTcp(action: ProbeAction & { t: "tcp" }, timeoutMs: number): Promise<ProbeOutcome> {
  return new Promise((resolve) => {
    const socket = connect({ host: action.host, port: action.port });
    const settle = (outcome: ProbeOutcome): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(outcome);
    };
    const timer = setTimeout(() => settle(failure(`no connection within ${timeoutMs} ms`)), timeoutMs);
    socket.once("connect", () => settle(success));
    socket.on("error", (error) => settle(failure(error.message)));
  });
}

function probeExec(action: ProbeAction & { t: "exec" }, timeoutMs: number): Promise<ProbeOutcome> {
  return new Promise((resolve) => {
    const [file = "", ...args] = action.command;
    const child = spawn(file, args, { env: action.env, cwd: action.cwd, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    const keep = (chunk: Buffer): void => {
      if (output.length < 1024) output += chunk.toString("utf8");
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      resolve(failure(`command "${file}" took longer than ${timeoutMs} ms`));
    }, timeoutMs);
    child.on("error", (error) => {
      clearTimeout(timer);
      resolve(failure(error.message));
    });
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve(code === 0 ? success : failure(`command "${file}" exited ${code}: ${oneLine(output)}`));
    });
  });
}

function failure(message: string): ProbeOutcome {
  return { t: "failure", message };
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim().slice(0, 300);
}
