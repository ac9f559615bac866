import { createHash } from "node:crypto";
import { chmod, mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Logger, type Parsed, parsed, refused } from "@weft/foundation";
import type { SavedResource, SavedResources, SavedType } from "@weft/xds";

const fileName = "mesh-snapshot.json";
const format = 1;
/** Largest file that is read back. */
const maxBytes = 64 * 1024 * 1024;

/** Keeps the accepted resources in a folder of its own, so that a restarted process goes on without a control plane. */
export interface SnapshotStore {
  /** What an earlier process saved; `undefined` when there is nothing, or nothing that can be trusted (said once in the log). */
  load(): Promise<SavedResources | undefined>;
  /** Replaces the file as a whole: a reader sees the old or the new one. */
  save(resources: SavedResources): Promise<void>;
}

/** Opens the store; the folder is made when it is missing, for its owner alone. */
export async function openSnapshotStore(directory: string, logger: Logger): Promise<SnapshotStore> {
  const made = await mkdir(directory, { recursive: true, mode: 0o700 });
  // Only a folder of our own making: the mode of any other is its owner's affair.
  if (made !== undefined) await chmod(directory, 0o700);
  const path = join(directory, fileName);
  return {
    async load() {
      const text = await readIfThere(path);
      if (text === undefined) return undefined;
      const result = parseSnapshotFile(text);
      if (result.ok) return result.value;
      logger.warn("saved snapshot ignored", { path, reason: result.error });
      return undefined;
    },
    async save(resources) {
      const temporary = `${path}.${process.pid}.tmp`;
      try {
        const file = await open(temporary, "w", 0o600);
        try {
          await file.writeFile(snapshotFile(resources));
          await file.sync();
        } finally {
          await file.close();
        }
        await rename(temporary, path);
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
    },
  };
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    const text = await readFile(path, "utf8");
    return text.length > maxBytes ? "" : text;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** The resources as a file: one line that names format and checksum, one that holds the rest. */
export function snapshotFile(resources: SavedResources): string {
  const types = resources.types.map((type) => ({
    ...type,
    resources: type.resources.map((resource) => ({
      ...resource,
      bytes: Buffer.from(resource.bytes).toString("base64"),
    })),
  }));
  const body = JSON.stringify({ types });
  return `${JSON.stringify({ format, sha256: checksum(body) })}\n${body}\n`;
}

/** Reads a file that {@link snapshotFile} wrote; a torn or changed one is refused. */
export function parseSnapshotFile(text: string): Parsed<SavedResources> {
  const [head, body] = text.split("\n");
  if (head === undefined || body === undefined) return refused("the file is cut off");
  try {
    const header = recordOf(JSON.parse(head));
    if (header["format"] !== format) return refused(`format ${JSON.stringify(header["format"])} is not known`);
    if (header["sha256"] !== checksum(body)) return refused("the checksum does not fit");
    return parsed({ types: listOf(recordOf(JSON.parse(body))["types"]).map(parseType) });
  } catch (error) {
    return refused(error instanceof Error ? error.message : String(error));
  }
}

function parseType(value: unknown): SavedType {
  const type = recordOf(value);
  return {
    typeUrl: textOf(type["typeUrl"]),
    identifier: textOf(type["identifier"]),
    version: textOf(type["version"]),
    resources: listOf(type["resources"]).map(parseResource),
  };
}

function parseResource(value: unknown): SavedResource {
  const resource = recordOf(value);
  const bytes = new Uint8Array(Buffer.from(textOf(resource["bytes"]), "base64"));
  return { name: textOf(resource["name"]), version: textOf(resource["version"]), bytes };
}

function checksum(body: string): string {
  return createHash("sha256").update(body).digest("hex");
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) throw new TypeError("an object is missing");
  return Object.fromEntries(Object.entries(value));
}

function listOf(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new TypeError("a list is missing");
  return value;
}

function textOf(value: unknown): string {
  if (typeof value !== "string") throw new TypeError("a text is missing");
  return value;
}
