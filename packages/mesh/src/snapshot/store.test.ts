import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "@weft/foundation";
import type { SavedResources } from "@weft/xds";
import fc from "fast-check";
import { expect, test } from "vitest";
import { openSnapshotStore, parseSnapshotFile, snapshotFile } from "./store.js";

const saved: SavedResources = {
  types: [
    {
      typeUrl: "type.googleapis.com/envoy.config.listener.v3.Listener",
      identifier: "cluster",
      version: "12",
      resources: [{ name: "orders.shop", version: "11", bytes: new Uint8Array([0, 1, 254, 255]) }],
    },
  ],
};

test("what is written is read back", () => {
  expect(parseSnapshotFile(snapshotFile(saved))).toEqual({ ok: true, value: saved });
});

test("a file that is cut off or changed anywhere is refused", () => {
  const file = snapshotFile(saved);
  for (let length = 0; length < file.length - 1; length += 1)
    expect(parseSnapshotFile(file.slice(0, length)).ok).toBe(false);
  fc.assert(
    fc.property(fc.nat(file.length - 2), fc.integer({ min: 33, max: 126 }), (position, code) => {
      const changed = file.slice(0, position) + String.fromCharCode(code) + file.slice(position + 1);
      const result = parseSnapshotFile(changed);
      expect(!result.ok || JSON.stringify(result.value) === JSON.stringify(saved)).toBe(true);
    }),
  );
});

test("the folder is its owner's alone, a save leaves nothing but the file, and the last save counts", async () => {
  const parent = await mkdtemp(join(tmpdir(), "weft-store-"));
  try {
    const folder = join(parent, "deep", "snapshot");
    const store = await openSnapshotStore(folder, silentLogger);
    expect(await store.load()).toBeUndefined();
    await store.save({ types: [] });
    await store.save(saved);
    expect(await readdir(folder)).toEqual(["mesh-snapshot.json"]);
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    expect((await stat(join(folder, "mesh-snapshot.json"))).mode & 0o777).toBe(0o600);
    expect(await (await openSnapshotStore(folder, silentLogger)).load()).toEqual(saved);
  } finally {
    await rm(parent, { recursive: true, force: true });
  }
});
