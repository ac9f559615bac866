import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { eventually } from "@weft/foundation/testing";
import { expect, test } from "vitest";
import { createKubeClient, type KubeClient } from "./client.js";
import { startInformer } from "./informer.js";
import { type ConfigMap, kinds } from "./kinds/index.js";

interface Scripted extends AsyncDisposable {
  readonly client: KubeClient;
  /** What lists answer with. */
  names: readonly string[];
  version: number;
  /** How many lists and watches there were, and from which version the watches. */
  readonly lists: string[];
  readonly watches: string[];
  /** The open watch. */
  stream(): Promise<ServerResponse>;
  /** Answers lists with 500 while true. */
  broken: boolean;
}

const object = (name: string, version: number, data = {}) => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, namespace: "a", uid: name, resourceVersion: String(version) },
  data,
});
const line = (type: string, value: unknown): string => `${JSON.stringify({ type, object: value })}\n`;

/** An API server that a test plays by hand. */
async function script(names: readonly string[]): Promise<Scripted> {
  const streams: ServerResponse[] = [];
  const server: Server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://api");
    if (url.searchParams.get("watch") === "true") {
      scripted.watches.push(url.searchParams.get("resourceVersion") ?? "");
      response.writeHead(200, { "content-type": "application/json" });
      response.flushHeaders();
      streams.push(response);
      return;
    }
    scripted.lists.push(url.search);
    if (scripted.broken) {
      response.writeHead(500).end("{}");
      return;
    }
    const items = scripted.names.map((name) => object(name, scripted.version));
    const body = {
      kind: "ConfigMapList",
      apiVersion: "v1",
      metadata: { resourceVersion: String(scripted.version) },
      items,
    };
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = fromAddress(server);
  const client = createKubeClient({ server: `http://127.0.0.1:${port}` });
  const scripted: Scripted = {
    client,
    names,
    version: 10,
    lists: [],
    watches: [],
    broken: false,
    stream: () => eventually(() => streams.at(-1), { ceilingMs: 10_000 }),
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return scripted;
}

const fast = { initialMs: 5, maxMs: 20, multiplier: 2, jitter: 0 };
const within = { ceilingMs: 10_000 };

function follow(api: Scripted, silenceMs = 60_000) {
  return startInformer({ client: api.client, kind: kinds.configMap, backoff: fast, silenceMs });
}
const keys = (objects: ReadonlyMap<string, ConfigMap>): readonly string[] => [...objects.keys()].sort();

test("an informer lists, then follows from the version of the list", async () => {
  await using api = await script(["one"]);
  await using informer = follow(api);
  await informer.synced.until((synced) => synced, AbortSignal.timeout(10_000));
  expect(keys(informer.objects.value)).toEqual(["a/one"]);
  const stream = await api.stream();
  expect(api.watches).toEqual(["10"]);
  stream.write(line("ADDED", object("two", 11)) + line("MODIFIED", object("one", 12, { x: "1" })));
  await eventually(() => informer.objects.value.size === 2 && informer.resourceVersion === "12", within);
  expect(informer.objects.value.get("a/one")?.data).toEqual({ x: "1" });
  stream.write(line("DELETED", object("one", 13)));
  await eventually(() => informer.objects.value.size === 1, within);
});

test("events that arrive together are one change of the map", async () => {
  await using api = await script([]);
  await using informer = follow(api);
  const stream = await api.stream();
  const sizes: number[] = [];
  using _subscription = informer.objects.subscribe((objects) => sizes.push(objects.size));
  stream.write(line("ADDED", object("a", 11)) + line("ADDED", object("b", 12)) + line("ADDED", object("c", 13)));
  await eventually(() => informer.objects.value.size === 3, within);
  expect(sizes).toEqual([3]);
});

test("a dropped stream goes on from the last version seen, bookmarks included, without a list", async () => {
  await using api = await script(["one"]);
  await using informer = follow(api);
  const stream = await api.stream();
  stream.write(line("BOOKMARK", { kind: "ConfigMap", apiVersion: "v1", metadata: { resourceVersion: "99" } }));
  await eventually(() => informer.resourceVersion === "99", within);
  stream.destroy();
  await eventually(() => api.watches.length === 2, within);
  expect(api.watches).toEqual(["10", "99"]);
  expect(api.lists).toHaveLength(1);
  expect(keys(informer.objects.value)).toEqual(["a/one"]);
});

test("a version that is too old lists again, and what was known stays until the new list is there", async () => {
  await using api = await script(["one", "two"]);
  await using informer = follow(api);
  const stream = await api.stream();
  const seen: (readonly string[])[] = [];
  using _subscription = informer.objects.subscribe((objects) => seen.push(keys(objects)));
  api.names = ["two", "three"];
  api.version = 50;
  api.broken = true;
  stream.write(line("ERROR", { kind: "Status", apiVersion: "v1", code: 410, reason: "Expired", message: "too old" }));
  await eventually(() => api.lists.length >= 3, within);
  expect(keys(informer.objects.value)).toEqual(["a/one", "a/two"]);
  expect(informer.synced.value).toBe(true);
  api.broken = false;
  await eventually(() => api.watches.at(-1) === "50", within);
  expect(seen).toEqual([["a/three", "a/two"]]);
});

test("a stream on which nothing arrives is given up and begun again", async () => {
  await using api = await script(["one"]);
  await using informer = follow(api, 100);
  await eventually(() => api.watches.length >= 3, within);
  expect(keys(informer.objects.value)).toEqual(["a/one"]);
});

test("an informer says whether it follows: not while the server gives it no watch", async () => {
  await using api = await script(["one"]);
  await using informer = follow(api);
  expect(informer.following.value).toBe(false);
  await informer.following.until((isFollowing) => isFollowing, AbortSignal.timeout(10_000));
  const stream = await api.stream();
  const seen: boolean[] = [];
  using _subscription = informer.following.subscribe((isFollowing) => seen.push(isFollowing));
  stream.destroy();
  await eventually(() => seen.length === 2, within);
  expect(seen).toEqual([false, true]);
  const again = await api.stream();
  again.end();
  await eventually(() => api.watches.length === 3, within);
  expect(seen).toEqual([false, true]);
});

test("an object that does not fit its kind hides no other", async () => {
  await using api = await script(["one"]);
  await using informer = follow(api);
  const stream = await api.stream();
  stream.write(line("ADDED", { ...object("bad", 11), data: 7 }) + line("ADDED", object("good", 12)));
  await eventually(() => informer.objects.value.size === 2, within);
  expect(keys(informer.objects.value)).toEqual(["a/good", "a/one"]);
});

test("a disposed informer closes its stream and asks nothing more", async () => {
  await using api = await script(["one"]);
  const informer = follow(api);
  const stream = await api.stream();
  const closed = new Promise((resolve) => stream.on("close", resolve));
  await informer[Symbol.asyncDispose]();
  await closed;
  expect(api.watches).toHaveLength(1);
});

function fromAddress(server: Server): AddressInfo {
  return server.address() as AddressInfo;
}
