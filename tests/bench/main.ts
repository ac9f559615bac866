// `npm run bench [-- codec|mesh|laptop|saga …] [--json FILE]`: measures, prints, and writes docs/benchmarks.md.
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { benchCodec } from "./codec.js";
import { benchLaptop } from "./laptop.js";
import { describeMachine } from "./machine.js";
import { benchMesh, type Row } from "./mesh.js";
import { writeReport } from "./report.js";
import { benchSaga } from "./saga.js";

const suites: Readonly<Record<string, () => Promise<Row[]>>> = {
  codec: benchCodec,
  mesh: benchMesh,
  laptop: benchLaptop,
  saga: benchSaga,
};

const { values, positionals } = parseArgs({ options: { json: { type: "string" } }, allowPositionals: true });
const unknown = positionals.filter((name) => suites[name] === undefined);
if (unknown.length > 0) {
  process.stderr.write(`bench: no suite ${unknown.join(", ")}; there are ${Object.keys(suites).join(", ")}\n`);
  process.exit(2);
}
const names = positionals.length > 0 ? positionals : Object.keys(suites);
const all: Row[] = [];
for (const name of names) {
  const rows = (await suites[name]?.()) ?? [];
  for (const row of rows) {
    const peers = Object.entries(row.peers).map(([peer, value]) => `${peer} ${value.toFixed(1)}`);
    process.stdout.write(
      `[${row.work}] ${row.ours.toFixed(1)} ${row.unit}; ${peers.join(", ")}; ratio ${row.ratio.toFixed(2)}; ${row.detail}\n`,
    );
  }
  writeReport(name, describeMachine(), rows);
  all.push(...rows);
}
if (values.json !== undefined) {
  writeFileSync(
    values.json,
    `${JSON.stringify({ rows: all.map(({ work, ours, peers, ratio }) => ({ work, ours, peers, ratio })) }, null, 2)}\n`,
  );
}
