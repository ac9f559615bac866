import { TooManyPings } from "@weft/wire";
import { expect, test } from "vitest";
import { connectControlPlane } from "./control-plane.js";
import { ScriptedTransport } from "./testing/scripted-transport.js";

const never = new AbortController().signal;

function start(addresses: string, hosts: Record<string, readonly string[]>) {
  const transport = new ScriptedTransport();
  const lookup = async (host: string): Promise<readonly string[]> => {
    const found = hosts[host];
    if (found === undefined) throw new Error(`${host} is not known`);
    return found;
  };
  const connect = connectControlPlane({ transport, addresses, lookup, random: () => 0 });
  return { transport, connect, dialled: () => transport.connections.map(({ address }) => address) };
}

test("each attempt takes the next address of all names", async () => {
  const { connect, dialled } = start("a.weft:15010, b.weft:15011", {
    "a.weft": ["10.0.0.1", "10.0.0.2"],
    "b.weft": ["10.0.0.3"],
  });
  for (let attempt = 0; attempt < 4; attempt += 1) await connect(attempt, never);
  expect(dialled()).toEqual(["10.0.0.1:15010", "10.0.0.2:15010", "10.0.0.3:15011", "10.0.0.1:15010"]);
});

test("a name that cannot be looked up does not keep the others from being tried; names are looked up anew each time", async () => {
  const hosts: Record<string, readonly string[]> = { "b.weft": ["10.0.0.3"] };
  const { connect, dialled } = start("a.weft:15010,b.weft:15010", hosts);
  await connect(0, never);
  hosts["a.weft"] = ["10.0.0.9"];
  await connect(2, never);
  expect(dialled()).toEqual(["10.0.0.3:15010", "10.0.0.9:15010"]);
});

test("without any address the attempt fails and says for whom", async () => {
  const { connect } = start("a.weft:15010", {});
  await expect(connect(0, never)).rejects.toThrow("control plane a.weft:15010 has no address");
});

test("an address without a port is refused at once", () => {
  expect(() => start("control-plane.weft", {})).toThrow(TypeError);
});

test("a control plane that complains of pings gets half as many from the next connection on", async () => {
  const { transport, connect } = start("a.weft:15010", { "a.weft": ["10.0.0.1"] });
  const times = (): (number | undefined)[] => transport.connections.map(({ options }) => options.keepalive?.timeMs);
  await connect(0, never);
  transport.connections[0]?.state.set({ t: "draining", cause: new TooManyPings() });
  transport.connections[0]?.state.set({ t: "closed", cause: new TooManyPings() });
  await connect(1, never);
  transport.connections[1]?.lose();
  await connect(2, never);
  expect(times()).toEqual([10_000, 20_000, 20_000]);
});
