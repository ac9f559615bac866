import { runCli } from "./cli.js";

// Whoever reads the output may go away first (`weft up | head`): the laptop must not fall over it.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});

process.exitCode = await runCli({
  args: process.argv.slice(2),
  env: process.env,
  stdout: process.stdout,
  stderr: process.stderr,
});
