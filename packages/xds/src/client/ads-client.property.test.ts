import { create } from "@bufbuild/protobuf";
import { NodeSchema } from "@weft/contracts/envoy/config/core/v3";
import { createBackoff } from "@weft/foundation";
import { FakeClock } from "@weft/foundation/testing";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createAdsClient } from "./ads-client.js";
import type { ResourceSubscription } from "./resource-table.js";
import type { ResourceType } from "./resource-type.js";
import { ScriptedControlPlane } from "./scripted-control-plane.js";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Resources are text `name@version`; version 0 is never understood. The value is the version. */
const type: ResourceType<number> = {
  typeUrl: "test/Whole",
  complete: true,
  parse(bytes) {
    const [name = "", version] = new TextDecoder().decode(bytes).split("@");
    return version === "0" ? { ok: false, name, error: "bad" } : { ok: true, name, value: Number(version) };
  },
};

const names = ["a", "b", "c"] as const;
const nameArbitrary = fc.constantFrom(...names);
const actionArbitrary = fc.oneof(
  fc.record({ t: fc.constant("subscribe" as const), name: nameArbitrary }),
  fc.record({ t: fc.constant("leave" as const), name: nameArbitrary }),
  fc.record({
    t: fc.constant("respond" as const),
    version: fc.integer({ min: 1, max: 12 }),
    has: fc.uniqueArray(nameArbitrary),
    bad: fc.uniqueArray(nameArbitrary, { maxLength: 1 }),
  }),
  fc.record({ t: fc.constant("drop" as const) }),
  fc.record({ t: fc.constant("wait" as const), ms: fc.constantFrom(100, 5_000, 20_000) }),
);

test("whatever a control plane sends in whatever order, nothing goes back in time, nothing is lost without a newer word, and each response is answered once", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(actionArbitrary, { minLength: 5, maxLength: 40 }), async (actions) => {
      const clock = new FakeClock();
      const plane = new ScriptedControlPlane();
      await using ads = createAdsClient({
        connect: plane.connect,
        node: create(NodeSchema, { id: "n" }),
        clock,
        backoff: createBackoff({ initialMs: 100, maxMs: 100, multiplier: 1, jitter: 0 }),
      });
      const collection = ads.collection(type);
      const held = new Map<string, ResourceSubscription<number>>();
      const heldValue = (name: string): number | undefined => {
        const state = held.get(name)?.state.value;
        return state?.t === "present" ? state.value : undefined;
      };
      let newest = 0;
      let nonce = 0;
      for (const action of actions) {
        const before = new Map(names.map((name) => [name, heldValue(name)]));
        switch (action.t) {
          case "subscribe":
            if (!held.has(action.name)) held.set(action.name, collection.subscribe(action.name));
            break;
          case "leave":
            held.get(action.name)?.[Symbol.dispose]();
            held.delete(action.name);
            break;
          case "drop":
            if (plane.streaming) plane.drop();
            break;
          case "wait":
            await clock.advance(action.ms);
            break;
          case "respond": {
            if (!plane.streaming || held.size === 0) break;
            nonce += 1;
            plane.take();
            const resources = action.has.map((name) =>
              encode(`${name}@${action.bad.includes(name) ? 0 : action.version}`),
            );
            plane.send({ typeUrl: type.typeUrl, version: String(action.version), nonce: `n${nonce}`, resources });
            await clock.advance(0);
            const answers = plane.take().filter(({ responseNonce }) => responseNonce === `n${nonce}`);
            expect(answers).toHaveLength(1);
            const spoiled = action.bad.some((name) => action.has.includes(name));
            expect(answers[0]?.errorDetail !== undefined).toBe(spoiled || action.version < newest);
            break;
          }
        }
        await clock.advance(0);
        const newer = action.t === "respond" && action.version > newest;
        for (const name of names) {
          const [was, is] = [before.get(name), heldValue(name)];
          if (was === undefined || action.t === "leave") continue;
          if (is === undefined) expect(newer).toBe(true);
          else expect(is).toBeGreaterThanOrEqual(was);
        }
        if (action.t === "respond" && plane.streaming && held.size > 0) newest = Math.max(newest, action.version);
      }
      for (const subscription of held.values()) subscription[Symbol.dispose]();
    }),
    { numRuns: 300 },
  );
});
