import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { CatalogService } from "@weft/contracts/shop/catalog/v1";
import { PaymentService } from "@weft/contracts/shop/payments/v1";
import { afterAll, expect, test } from "vitest";
import { runCli } from "../cli.js";

const folder = mkdtempSync(join(tmpdir(), "weft-load-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function weftLoad(...args: readonly string[]) {
  const written = { stdout: "", stderr: "" };
  const sink = (name: "stdout" | "stderr"): Writable =>
    new Writable({
      write(chunk, _encoding, done) {
        written[name] += String(chunk);
        done();
      },
    });
  const terminal = { args: ["load", ...args], env: {}, stdout: sink("stdout"), stderr: sink("stderr") };
  return { code: await runCli(terminal), ...written };
}

async function startGateway(routes: (router: ConnectRouter) => void) {
  const server = createServer(connectNodeAdapter({ routes }));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${fromAddress(server.address()).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function fromAddress(address: unknown): AddressInfo {
  return address as AddressInfo;
}

test("numbers and addresses that can't be meant are said before anything is called", async () => {
  const refused: readonly (readonly [readonly string[], string])[] = [
    [["--rate", "0"], 'weft: --rate takes a number from 0.01 to 10000, not "0"\n'],
    [["--users", "2.5"], 'weft: --users takes a whole number from 1 to 100000, not "2.5"\n'],
    [["--minutes", "soon"], 'weft: --minutes takes a number from 0.001 to 44640, not "soon"\n'],
    [["--seed", "-1"], expect.stringContaining("weft: ")],
    [["--gateway", "shop"], 'weft: --gateway takes an address such as http://127.0.0.1:8080, not "shop"\n'],
  ];
  for (const [args, stderr] of refused) expect(await weftLoad(...args)).toEqual({ code: 2, stdout: "", stderr });
});

test("a gateway that is not there is said in one line, with exit code 1", async () => {
  const { code, stdout, stderr } = await weftLoad("--gateway", "http://127.0.0.1:1", "--minutes", "0.01");
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toMatch(/^weft: the shop at http:\/\/127.0.0.1:1 does not answer: .+\n$/);
});

test("a run prints what came of it, writes the same as JSON, and ends with 1 because of an unexpected error", async () => {
  await using gateway = await startGateway((router) => {
    router.service(PaymentService, { listTestCards: () => ({}) });
    router.service(CatalogService, {
      listProducts() {
        throw new ConnectError("something went wrong inside", Code.Internal);
      },
    });
  });
  const json = join(folder, "summary.json");
  const { url } = gateway;
  const result = await weftLoad(
    "--gateway",
    `${url}/`,
    "--rate",
    "100",
    "--minutes",
    "0.02",
    "--seed",
    "5",
    "--json",
    json,
  );
  expect(result.code).toBe(1);
  expect(result.stderr).toBe("weft: payments publishes no test cards here: nobody will order anything\n");
  expect(result.stdout).toContain(`shopping at ${url}: 100 calls/s by 50 users, seed 5; Ctrl-C ends it\n`);
  expect(result.stdout).toMatch(
    /CatalogService\/ListProducts +INTERNAL +\d+ +unexpected: something went wrong inside\n/,
  );
  expect(result.stdout).toMatch(/\n\d+ unexpected errors\n$/);
  expect(JSON.parse(readFileSync(json, "utf8"))).toMatchObject({ gateway: url, seed: 5, rate: 100, users: 50 });
});
