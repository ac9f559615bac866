import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** A server in a process of its own. */
export interface ChildServer extends AsyncDisposable {
  readonly port: number;
  readonly child: ChildProcess;
}

/** A server that knows nothing of Weft: it answers each Echo with one letter after 20 ms, and prints its port. */
const program = `
import { Server, ServerCredentials } from "@grpc/grpc-js";
const asIs = (bytes) => bytes;
const echo = {
  path: "/weft.bench.v1.EchoService/Echo", requestStream: false, responseStream: false,
  requestSerialize: asIs, requestDeserialize: asIs, responseSerialize: asIs, responseDeserialize: asIs,
};
const server = new Server();
const payload = Buffer.from([10, 1, process.argv[1].charCodeAt(0)]);
server.addService({ echo }, { echo: (_call, reply) => setTimeout(() => reply(null, payload), 20) });
server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (_error, port) => process.stdout.write(String(port)));
`;

/** Starts one that answers with this letter. Dispose kills it, stopped or not. */
export async function startStockPeer(letter: string): Promise<ChildServer> {
  return startChildServer(program, letter);
}

/** Starts any program that prints its port. */
async function startChildServer(source: string, argument: string): Promise<ChildServer> {
  const cwd = fileURLToPath(new URL("../../../wire", import.meta.url));
  const child = spawn(process.execPath, ["--input-type=module", "-e", source, argument], {
    cwd,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = await once(child.stdout, "data");
  return {
    child,
    port: Number(String(line)),
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await exited;
    },
  };
}

/** Passes bytes on to a port of loopback, from a process of its own. */
const relayProgram = `
import { connect, createServer } from "node:net";
const server = createServer((near) => {
  const far = connect({ host: "127.0.0.1", port: Number(process.argv[1]) });
  near.on("error", () => {}).on("close", () => far.destroy());
  far.on("error", () => {}).on("close", () => near.destroy());
  near.pipe(far).pipe(near);
});
server.listen({ host: "127.0.0.1", port: 0 }, () => process.stdout.write(String(server.address().port)));
`;

/** Starts a process through which a server is reached, so that it can be frozen with the process. */
export function startRelay(toPort: number): Promise<ChildServer> {
  return startChildServer(relayProgram, String(toPort));
}
