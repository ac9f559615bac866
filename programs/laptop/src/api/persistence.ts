import { readFileSync } from "node:fs";
import type { Clock, Logger, Timer } from "@weft/foundation";
import { isRecord } from "@weft/kube";
import type { Json } from "../kinds/resource-kind.js";
import { writeFileAtomically } from "./atomic-file.js";
import type { KindRegistry } from "./kind-registry.js";
import type { ObjectStore } from "./store.js";

/** Keeps the objects in one file, written a moment after a change and at the end. */
export interface Persistence {
  /** Writes now if there is anything to write. */
  flush(): void;
}

const delayMs = 500;

/** The objects of the last run; an unreadable file is an error, not an empty cluster. */
export function readObjects(file: string): readonly (readonly [string, Json])[] {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    // No file yet: the first start.
    return [];
  }
  const document = parseDocument(file, text);
  const kinds = isRecord(document) && isRecord(document["kinds"]) ? document["kinds"] : undefined;
  if (kinds === undefined) throw new Error(`${file}: not a file of objects`);
  const found: (readonly [string, Json])[] = [];
  for (const [kind, objects] of Object.entries(kinds)) {
    for (const object of Array.isArray(objects) ? objects : []) if (isRecord(object)) found.push([kind, object]);
  }
  return found;
}

function parseDocument(file: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`${file}: not JSON; \`weft reset\` begins anew`, { cause });
  }
}

export function startPersistence(options: {
  readonly file: string;
  readonly store: ObjectStore;
  readonly kinds: KindRegistry;
  readonly clock: Clock;
  readonly logger: Logger;
}): Persistence & Disposable {
  const { file, store, kinds, clock, logger } = options;
  let timer: Timer | undefined;
  let dirty = false;
  const write = (): void => {
    timer?.[Symbol.dispose]();
    timer = undefined;
    if (!dirty) return;
    const out: Record<string, Json[]> = {};
    for (const [kind, object] of store.all()) {
      if (kinds.byKey(kind)?.ephemeral === true) continue;
      out[kind] ??= [];
      out[kind].push(object);
    }
    writeFileAtomically(file, JSON.stringify({ kinds: out }));
    dirty = false;
  };
  const writeLater = (): void => {
    try {
      write();
    } catch (error) {
      logger.error("could not write the objects to disk, trying again at the next change", { error, file });
    }
  };
  const subscription = store.subscribe(store.version, (event) => {
    if (kinds.byKey(event.kind)?.ephemeral === true) return;
    dirty = true;
    timer ??= clock.after(delayMs, writeLater);
    timer.unref();
  });
  return {
    flush: write,
    [Symbol.dispose]() {
      subscription[Symbol.dispose]();
      write();
    },
  };
}
