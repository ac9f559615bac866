import { readFileSync } from "node:fs";
import { writeFileAtomically } from "./atomic-file.js";

/** Gives numbers that only grow, across restarts too. */
export interface VersionSource {
  next(): number;
}

/** How many versions are claimed on disk at a time: a crash skips at most so many. */
const block = 10_000;

/** Versions that never come twice: the file holds a bound that no version has reached yet. */
export function openVersionSource(file: string): VersionSource {
  let bound = readBound(file);
  let last = bound;
  return {
    next() {
      if (last >= bound) {
        bound = last + block;
        writeFileAtomically(file, `${bound}\n`);
      }
      last += 1;
      return last;
    },
  };
}

function readBound(file: string): number {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    // No file yet: the first start. Not from 0: low versions stay what they are everywhere, long gone.
    return block;
  }
  const bound = Number(text.trim());
  if (!Number.isSafeInteger(bound) || bound < 0)
    throw new Error(`${file}: not a resource version: ${JSON.stringify(text)}`);
  return bound;
}
