import type { Round } from "./load.js";
import { end, startPinned } from "./processes.js";
import { median } from "./statistics.js";

/** One row of the table: the same work by the mesh and by the yardstick. */
export interface Row {
  readonly work: string;
  readonly ours: number;
  readonly peers: Readonly<Record<string, number>>;
  readonly ratio: number;
  readonly unit: string;
  readonly detail: string;
}

const rounds = 5;
const roundMs = 2_000;

/** Unary calls through the mesh beside bare grpc-js: same run, alternating, client and server on a core each, medians. */
export async function benchMesh(): Promise<Row[]> {
  const rows: Row[] = [];
  const mesh = await startPinned(0, "mesh-server");
  const bare = await startPinned(0, "grpc-js-server");
  try {
    for (const inFlight of [1, 64]) {
      const ours: Round[] = [];
      const theirs: Round[] = [];
      for (let round = 0; round < rounds; round += 1) {
        ours.push(await measure("mesh-client", mesh.line, inFlight));
        theirs.push(await measure("grpc-js-client", bare.line, inFlight));
      }
      const own = median(ours.map((round) => round.callsPerSecond));
      const peer = median(theirs.map((round) => round.callsPerSecond));
      rows.push({
        work: `unary-64B-c${inFlight}`,
        ours: own,
        peers: { "grpc-js": peer },
        ratio: own / peer,
        unit: "calls/s",
        detail: `p99 ${ms(ours)} against ${ms(theirs)}; client CPU a call ${micros(ours)} against ${micros(theirs)}`,
      });
    }
  } finally {
    await end(mesh.process);
    await end(bare.process);
  }
  return rows;
}

async function measure(program: string, port: string, inFlight: number): Promise<Round> {
  const run = await startPinned(1, program, [port, inFlight, roundMs]);
  await end(run.process);
  return parseRound(run.line);
}

function parseRound(line: string): Round {
  return JSON.parse(line) as Round;
}

function ms(all: readonly Round[]): string {
  return `${median(all.map((round) => round.p99Ms)).toFixed(1)} ms`;
}

function micros(all: readonly Round[]): string {
  return `${median(all.map((round) => round.cpuMicrosPerCall)).toFixed(0)} µs`;
}
