import { create } from "@bufbuild/protobuf";
import { NodeSchema } from "@weft/contracts/envoy/config/core/v3";
import { createBackoff } from "@weft/foundation";
import { FakeClock } from "@weft/foundation/testing";
import { expect, test } from "vitest";
import { type AdsClient, createAdsClient } from "./ads-client.js";
import type { ResourceType } from "./resource-type.js";
import type { SavedResources } from "./saved.js";
import { ScriptedControlPlane } from "./scripted-control-plane.js";

/** Resources of these tests are text `name=value`; the value `bad` is never understood. */
function textType(typeUrl: string, complete: boolean): ResourceType<string> {
  return {
    typeUrl,
    complete,
    parse(bytes) {
      const [name, value] = new TextDecoder().decode(bytes).split("=");
      if (name === undefined || value === undefined) return { ok: false, name: undefined, error: "no text" };
      return value === "bad" ? { ok: false, name, error: "value is bad" } : { ok: true, name, value };
    },
  };
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const whole = "test/Whole";
const partial = "test/Partial";

function start(saved?: SavedResources) {
  const clock = new FakeClock();
  const plane = new ScriptedControlPlane();
  const ads: AdsClient = createAdsClient({
    connect: plane.connect,
    node: create(NodeSchema, { id: "orders-1.shop" }),
    clock,
    backoff: createBackoff({ initialMs: 1_000, maxMs: 30_000, multiplier: 2, jitter: 0 }),
    ...(saved === undefined ? {} : { saved }),
  });
  const wholes = ads.collection(textType(whole, true));
  const partials = ads.collection(textType(partial, false));
  const respond = async (typeUrl: string, version: string, resources: string[], identifier = "cluster-a") => {
    plane.send({ typeUrl, version, nonce: `n${version}`, resources: resources.map(text), identifier });
    await clock.advance(0);
  };
  return { ads, clock, plane, wholes, partials, respond };
}

test("a subscription is asked for, answered, and acknowledged with version and nonce", async () => {
  const { ads, clock, plane, wholes, respond } = start();
  await using _ = ads;
  const a = wholes.subscribe("a");
  await clock.advance(0);
  expect(plane.take()).toMatchObject([
    { typeUrl: whole, resourceNames: ["a"], versionInfo: "", responseNonce: "", node: { id: "orders-1.shop" } },
  ]);
  await respond(whole, "7", ["a=1"]);
  expect(a.state.value).toEqual({ t: "present", value: "1", refusal: undefined });
  const [ack] = plane.take();
  expect(ack).toMatchObject({ versionInfo: "7", responseNonce: "n7", resourceNames: ["a"] });
  expect(ack?.node).toBeUndefined();
  expect(ack?.errorDetail).toBeUndefined();
  expect(ads.position).toEqual({ identifier: "cluster-a", version: "7" });
});

test("one bad resource is refused by name, the good ones of the same response are taken, and the old one stays", async () => {
  const { ads, clock, plane, wholes, respond } = start();
  await using _ = ads;
  const a = wholes.subscribe("a");
  const b = wholes.subscribe("b");
  await clock.advance(0);
  await respond(whole, "1", ["a=1", "b=1"]);
  plane.take();
  await respond(whole, "2", ["a=bad", "b=2"]);
  expect(a.state.value).toEqual({ t: "present", value: "1", refusal: "value is bad" });
  expect(b.state.value).toMatchObject({ t: "present", value: "2" });
  const [nack] = plane.take();
  expect(nack).toMatchObject({ versionInfo: "1", responseNonce: "n2", errorDetail: { message: '"a": value is bad' } });
  await respond(whole, "3", ["a=3", "b=2"]);
  expect(a.state.value).toEqual({ t: "present", value: "3", refusal: undefined });
  expect(plane.take()[0]?.errorDetail).toBeUndefined();
});

test("what a watcher asks for while a response is taken goes out with the answer to it", async () => {
  const { ads, clock, plane, wholes, partials, respond } = start();
  await using _ = ads;
  const a = wholes.subscribe("a");
  a.state.subscribe(() => partials.subscribe("from-a"));
  await clock.advance(0);
  plane.take();
  await respond(whole, "1", ["a=1"]);
  expect(plane.take().map((request) => [request.typeUrl, request.resourceNames])).toEqual([
    [whole, ["a"]],
    [partial, ["from-a"]],
  ]);
});

test("a complete response that leaves a resource out deletes it; other types keep theirs", async () => {
  const { ads, clock, wholes, partials, respond } = start();
  await using _ = ads;
  const a = wholes.subscribe("a");
  const p = partials.subscribe("p");
  await clock.advance(0);
  await respond(whole, "1", ["a=1"]);
  await respond(partial, "1", ["p=1"]);
  await respond(partial, "2", []);
  expect(p.state.value.t).toBe("present");
  await respond(whole, "2", []);
  expect(a.state.value.t).toBe("absent");
  await respond(whole, "3", ["a=2"]);
  expect(a.state.value).toMatchObject({ t: "present", value: "2" });
});

test("a response that may answer an earlier request deletes nothing that was asked for later", async () => {
  const saved: SavedResources = {
    types: [
      {
        typeUrl: whole,
        identifier: "cluster-a",
        version: "1",
        resources: [{ name: "b", version: "1", bytes: text("b=old") }],
      },
    ],
  };
  const { ads, clock, wholes, respond } = start(saved);
  await using _ = ads;
  wholes.subscribe("a");
  await clock.advance(0);
  const b = wholes.subscribe("b");
  await clock.advance(0);
  await respond(whole, "2", ["a=1"]);
  expect(b.state.value).toMatchObject({ t: "present", value: "old" });
});

test("a restarted control plane that answers the same snapshot empty deletes nothing", async () => {
  const { ads, clock, plane, wholes, respond } = start();
  await using _ = ads;
  const a = wholes.subscribe("a");
  await clock.advance(0);
  await respond(whole, "5", ["a=1"]);
  plane.drop();
  await clock.advance(1_000);
  await respond(whole, "5", []);
  expect(a.state.value).toMatchObject({ t: "present", value: "1" });
});

test("a snapshot older than the one held is refused, unless it is another cluster's", async () => {
  const { ads, clock, plane, wholes, respond } = start();
  await using _ = ads;
  const a = wholes.subscribe("a");
  await clock.advance(0);
  await respond(whole, "10", ["a=ten"]);
  plane.drop();
  await clock.advance(1_000);
  plane.take();
  await respond(whole, "9", ["a=nine"]);
  expect(a.state.value).toMatchObject({ value: "ten" });
  expect(plane.take()[0]).toMatchObject({ versionInfo: "10", responseNonce: "n9" });
  expect(ads.position.version).toBe("10");
  await respond(whole, "9", ["a=other"], "cluster-b");
  expect(a.state.value).toMatchObject({ value: "other" });
});

test("a broken stream is opened again after the back-off, with every name and version and a fresh nonce", async () => {
  const { ads, clock, plane, wholes, partials, respond } = start();
  await using _ = ads;
  const a = wholes.subscribe("a");
  partials.subscribe("p");
  await clock.advance(0);
  await respond(whole, "4", ["a=1"]);
  plane.reachable = false;
  plane.drop();
  plane.take();
  await clock.advance(1_000 + 1_000 + 2_000);
  expect(plane.attempts).toEqual([0, 1, 2]);
  expect(a.state.value.t).toBe("present");
  plane.reachable = true;
  wholes.subscribe("late");
  await clock.advance(4_000);
  expect(plane.take()).toMatchObject([
    {
      typeUrl: whole,
      versionInfo: "4",
      responseNonce: "",
      resourceNames: ["a", "late"],
      node: { id: "orders-1.shop" },
    },
    { typeUrl: partial, versionInfo: "", resourceNames: ["p"] },
  ]);
});

test("a resource that stays unanswered for 15 s counts as absent, but not while nobody is there to answer", async () => {
  const { ads, clock, plane, wholes, partials, respond } = start();
  await using _ = ads;
  wholes.subscribe("a");
  const p = partials.subscribe("p");
  await clock.advance(0);
  await respond(whole, "1", ["a=1"]);
  await clock.advance(14_000);
  plane.reachable = false;
  plane.drop();
  await clock.advance(60_000);
  expect(p.state.value.t).toBe("pending");
  plane.reachable = true;
  for (let second = 0; second < 60 && !plane.streaming; second += 1) await clock.advance(1_000);
  await respond(whole, "2", ["a=2"]);
  await clock.advance(15_000);
  expect(p.state.value.t).toBe("absent");
});

test("a control plane that answers nothing at all is left for another after 15 s, and proves nothing absent", async () => {
  const { ads, clock, plane, wholes } = start();
  await using _ = ads;
  const a = wholes.subscribe("a");
  await clock.advance(0);
  expect(plane.attempts).toEqual([0]);
  await clock.advance(16_000);
  expect(plane.attempts).toEqual([0, 1]);
  await clock.advance(120_000);
  expect(a.state.value.t).toBe("pending");
});

test("a stream on which nothing was asked may stay silent", async () => {
  const { ads, clock, plane, wholes, respond } = start();
  await using _ = ads;
  await clock.advance(60_000);
  expect(plane.attempts).toEqual([0]);
  wholes.subscribe("a");
  await clock.advance(9_000);
  await respond(whole, "1", ["a=1"]);
  await clock.advance(60_000);
  expect(plane.attempts).toEqual([0]);
});

test("a resource without a readable name takes no other away", async () => {
  const { ads, clock, wholes, respond } = start();
  await using _ = ads;
  const a = wholes.subscribe("a");
  await clock.advance(0);
  await respond(whole, "1", ["a=1"]);
  await respond(whole, "2", ["garbage"]);
  expect(a.state.value).toMatchObject({ t: "present", value: "1" });
  await respond(whole, "3", []);
  expect(a.state.value.t).toBe("absent");
});

test("saved resources count from the start, without any control plane, and older answers do not replace them", async () => {
  const first = start();
  const a = first.wholes.subscribe("a");
  await first.clock.advance(0);
  await first.respond(whole, "6", ["a=six"]);
  expect(a.state.value).toMatchObject({ value: "six" });
  const saved = first.ads.accepted.value;
  await first.ads[Symbol.asyncDispose]();

  const second = start(saved);
  await using _ = second.ads;
  second.plane.reachable = false;
  const again = second.wholes.subscribe("a");
  expect(again.state.value).toMatchObject({ t: "present", value: "six" });
  expect(second.ads.position).toEqual({ identifier: "cluster-a", version: "6" });
  second.plane.reachable = true;
  await second.clock.advance(40_000);
  await second.respond(whole, "5", ["a=five"]);
  expect(again.state.value).toMatchObject({ value: "six" });
});

test("the last subscriber out takes the name off the subscription", async () => {
  const { ads, clock, plane, wholes, respond } = start();
  await using _ = ads;
  const [a1, a2, b] = [wholes.subscribe("a"), wholes.subscribe("a"), wholes.subscribe("b")];
  await clock.advance(0);
  await respond(whole, "1", ["a=1", "b=1"]);
  plane.take();
  a1[Symbol.dispose]();
  a1[Symbol.dispose]();
  await clock.advance(0);
  expect(plane.take()).toEqual([]);
  a2[Symbol.dispose]();
  await clock.advance(0);
  expect(plane.take()).toMatchObject([{ resourceNames: ["b"], versionInfo: "1", responseNonce: "n1" }]);
  expect(ads.accepted.value.types[0]?.resources.map((resource) => resource.name)).toEqual(["b"]);
  b[Symbol.dispose]();
});

test("bytes that are no response end the stream, and it is opened again", async () => {
  const { ads, clock, plane, wholes } = start();
  await using _ = ads;
  wholes.subscribe("a");
  await clock.advance(0);
  plane.sendBytes(new Uint8Array([0xff, 0xff, 0xff]));
  await clock.advance(1_000);
  expect(plane.attempts).toEqual([0, 1]);
  expect(plane.streaming).toBe(true);
});

test("a client disposed before its first connection is up ends all the same", async () => {
  const { ads, plane } = start();
  await ads[Symbol.asyncDispose]();
  expect(plane.streaming).toBe(false);
});

test("a disposed client leaves no timer and no stream", async () => {
  const { ads, clock, plane, partials } = start();
  partials.subscribe("p");
  await clock.advance(0);
  await ads[Symbol.asyncDispose]();
  expect(plane.streaming).toBe(false);
  expect(clock.pendingTimers).toBe(0);
});
