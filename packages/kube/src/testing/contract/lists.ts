import { sleep } from "@weft/foundation";
import { expect, test } from "vitest";
import type { WatchEvent } from "../../answers.js";
import { kinds } from "../../kinds/index.js";
import type { Kind, KubeObject } from "../../object.js";
import { at, type ContractWorld, configMap, refusalOf, send } from "./fixture.js";

/** Lists in parts, selectors, tables and watches. */
export function listsContract(world: ContractWorld): void {
  const namespaced = () => ({ namespace: world.namespace });
  const ref = (name: string) => ({ namespace: world.namespace, name });
  const makeFive = async (prefix: string): Promise<void> => {
    for (const index of [1, 2, 3, 4, 5]) {
      await world.client.create(kinds.configMap, {
        metadata: { ...ref(`${prefix}-${index}`), labels: { set: prefix, odd: String(index % 2 === 1) } },
      });
    }
  };

  test("a list in parts gives each object once, all of the version of the first part", async () => {
    await makeFive("page");
    const labelSelector = "set=page";
    const first = await world.client.list(kinds.configMap, { ...namespaced(), labelSelector, limit: 2 });
    expect(first.items).toHaveLength(2);
    // What comes meanwhile belongs to the next list.
    await world.client.create(kinds.configMap, { metadata: { ...ref("page-0"), labels: { set: "page" } } });
    await world.client.delete(kinds.configMap, ref("page-5"));
    const names = first.items.map((item) => item.metadata.name);
    let continueToken = first.continueToken;
    for (let parts = 0; continueToken !== undefined && parts < 5; parts += 1) {
      const next = await world.client.list(kinds.configMap, {
        ...namespaced(),
        labelSelector,
        limit: 2,
        continueToken,
      });
      expect(next.resourceVersion).toBe(first.resourceVersion);
      names.push(...next.items.map((item) => item.metadata.name));
      continueToken = next.continueToken;
    }
    expect(names).toEqual(["page-1", "page-2", "page-3", "page-4", "page-5"]);
  });

  test("label selectors choose by equality, set and existence", async () => {
    await makeFive("label");
    const found = async (labelSelector: string): Promise<readonly string[]> => {
      const list = await world.client.list(kinds.configMap, {
        ...namespaced(),
        labelSelector: `set=label,${labelSelector}`,
      });
      return list.items.map((item) => item.metadata.name);
    };
    expect(await found("odd=true")).toEqual(["label-1", "label-3", "label-5"]);
    expect(await found("odd!=true")).toEqual(["label-2", "label-4"]);
    expect(await found("odd in (false,maybe)")).toEqual(["label-2", "label-4"]);
    expect(await found("odd notin (false)")).toEqual(["label-1", "label-3", "label-5"]);
    expect(await found("!missing")).toHaveLength(5);
    expect(await found("missing")).toHaveLength(0);
  });

  test("field selectors choose by the fields that a kind offers, others are 400", async () => {
    await world.client.create(kinds.configMap, configMap(world, "by-field"));
    const list = await world.client.list(kinds.configMap, { ...namespaced(), fieldSelector: "metadata.name=by-field" });
    expect(list.items.map((item) => item.metadata.name)).toEqual(["by-field"]);
    const refusal = await refusalOf(world.client.list(kinds.configMap, { ...namespaced(), fieldSelector: "data.a=1" }));
    expect(refusal).toMatchObject({ code: 400, reason: "BadRequest" });
  });

  test("a Table has the columns that kubectl prints", async () => {
    await world.client.create(kinds.configMap, configMap(world, "row", { a: "1", b: "2" }));
    const answer = await send(world, {
      method: "GET",
      path: `/api/v1/namespaces/${world.namespace}/configmaps/row`,
      accept: "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
    });
    expect(at(answer.json, "kind")).toBe("Table");
    const columns: unknown = at(answer.json, "columnDefinitions");
    const names = Array.isArray(columns) ? columns.map((column) => at(column, "name")) : [];
    expect(names).toEqual(["Name", "Data", "Age"]);
    expect(at(answer.json, "rows", 0, "cells", 0)).toBe("row");
    expect(at(answer.json, "rows", 0, "cells", 1)).toBe(2);
    expect(at(answer.json, "rows", 0, "object", "kind")).toBe("PartialObjectMetadata");
  });

  const take = async <T extends KubeObject>(
    kind: Kind<T>,
    options: Parameters<ContractWorld["client"]["watch"]>[1],
    enough: (events: readonly WatchEvent<T>[]) => boolean,
  ): Promise<readonly WatchEvent<T>[]> => {
    const events: WatchEvent<T>[] = [];
    for await (const event of world.client.watch(kind, { ...namespaced(), timeoutSeconds: 20, ...options })) {
      events.push(event);
      if (enough(events)) break;
    }
    return events;
  };
  const named = (events: readonly WatchEvent<KubeObject>[]): readonly string[] =>
    events.flatMap((event) => ("object" in event ? [`${event.t} ${event.object.metadata.name}`] : []));

  test("a watch from the version of a list sees everything after it, in order, and nothing before", async () => {
    await world.client.create(kinds.configMap, configMap(world, "before"));
    const list = await world.client.list(kinds.configMap, namespaced());
    await world.client.create(kinds.configMap, configMap(world, "after"));
    await world.client.patch(kinds.configMap, ref("after"), { t: "merge", body: { data: { a: "1" } } });
    await world.client.delete(kinds.configMap, ref("after"));
    const options = { resourceVersion: list.resourceVersion, bookmarks: false };
    const events = await take(kinds.configMap, options, (seen) => seen.length === 3);
    expect(named(events)).toEqual(["added after", "modified after", "deleted after"]);
    const versions = events.map((event) => Number(event.resourceVersion));
    expect([...versions].sort((a, b) => a - b)).toEqual(versions);
    expect(versions[0]).toBeGreaterThan(Number(list.resourceVersion));
  });

  test("a watch from version 0 begins with what is there", async () => {
    await world.client.create(kinds.configMap, { metadata: { ...ref("there"), labels: { set: "there" } } });
    const options = { labelSelector: "set=there", resourceVersion: "0", bookmarks: false };
    const events = await take(kinds.configMap, options, (seen) => seen.length === 1);
    expect(named(events)).toEqual(["added there"]);
  });

  test("an object that enters or leaves a selection is added or deleted for its watch", async () => {
    await world.client.create(kinds.configMap, { metadata: { ...ref("moves"), labels: { set: "out" } } });
    const { resourceVersion } = await world.client.list(kinds.configMap, namespaced());
    for (const set of ["in", "out"]) {
      await world.client.patch(kinds.configMap, ref("moves"), { t: "merge", body: { metadata: { labels: { set } } } });
    }
    const options = { resourceVersion, labelSelector: "set=in", bookmarks: false };
    const events = await take(kinds.configMap, options, (seen) => seen.length === 2);
    expect(named(events)).toEqual(["added moves", "deleted moves"]);
  });

  test("a watch that asks for bookmarks gets one in time", async () => {
    const { resourceVersion } = await world.client.list(kinds.configMap, namespaced());
    const options = { resourceVersion, labelSelector: "set=nothing", timeoutSeconds: 15 };
    // The server has news only when something happens, even if this watch does not see it.
    const ended = new AbortController();
    const busy = (async () => {
      for (let index = 0; index < 30 && !ended.signal.aborted; index += 1) {
        await world.client.create(kinds.configMap, configMap(world, `unseen-${index}`));
        await sleep(500, { signal: ended.signal }).catch(() => {});
      }
    })();
    const events = await take(kinds.configMap, options, (seen) => seen.some((event) => event.t === "bookmark"));
    ended.abort();
    await busy;
    const bookmark = events.find((event) => event.t === "bookmark");
    expect(Number(bookmark?.resourceVersion)).toBeGreaterThanOrEqual(Number(resourceVersion));
  });

  test("a watch ends without an error when its time is over", async () => {
    const { resourceVersion } = await world.client.list(kinds.configMap, namespaced());
    const events = await take(kinds.configMap, { resourceVersion, timeoutSeconds: 1 }, () => false);
    expect(named(events)).toEqual([]);
  });

  test.skipIf(!world.compacts)("a watch from a version that is compacted is 410", async () => {
    const { resourceVersion } = await world.client.list(kinds.configMap, namespaced());
    await world.client.create(kinds.configMap, configMap(world, "forgotten"));
    await world.compact();
    const refusal = await refusalOf(take(kinds.configMap, { resourceVersion }, () => true));
    expect(refusal).toMatchObject({ code: 410, decision: "gone" });
  });

  test("a continue token that means nothing is refused, an old one is 410", async () => {
    const refusal = await refusalOf(
      world.client.list(kinds.configMap, { ...namespaced(), limit: 1, continueToken: "bm9uc2Vuc2U" }),
    );
    expect([400, 410]).toContain(refusal.code);
  });
}
