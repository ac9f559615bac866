import type { Pod } from "@weft/kube";
import { kubectl } from "./command.js";

/** How a connection attempt ended: a NetworkPolicy drops what it refuses, so that is a time-out. */
export interface Reached {
  readonly target: string;
  readonly outcome: "connected" | "timed out" | "refused" | "unknown name";
}

/** Runs in the Pod: tries every `host:port` at once, for two seconds, and prints what came of each. */
const program = `
const net = require("node:net");
const words = { ECONNREFUSED: "refused", ENOTFOUND: "unknown name", EAI_AGAIN: "unknown name" };
const attempt = (target) => new Promise((resolve) => {
  const [, host, port] = /^(.*):(\\d+)$/.exec(target);
  const socket = net.connect({ host, port: Number(port), timeout: 2000 });
  const end = (outcome) => { socket.destroy(); resolve({ target, outcome }); };
  socket.once("connect", () => end("connected"));
  socket.once("timeout", () => end("timed out"));
  socket.once("error", (error) => end(words[error.code] ?? "timed out"));
});
Promise.all(process.argv.slice(1).map(attempt)).then((all) => console.log(JSON.stringify(all)));
`;

/** Tries TCP connections to each `host:port` from inside a Pod that has Node, with the Pod's own address and policies. */
export async function reach(from: Pod, targets: readonly string[]): Promise<Reached[]> {
  const where = ["--namespace", from.metadata.namespace ?? "", from.metadata.name];
  return parseReached(await kubectl(["exec", ...where, "--", "/nodejs/bin/node", "-e", program, ...targets]));
}

function parseReached(text: string): Reached[] {
  return JSON.parse(text);
}
