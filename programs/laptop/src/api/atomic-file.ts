import { closeSync, fsyncSync, openSync, renameSync, writeFileSync } from "node:fs";

/** Writes a file that only its owner can read: after a crash it holds the old text or the new one, never a part. */
export function writeFileAtomically(file: string, text: string): void {
  const next = `${file}.next`;
  const handle = openSync(next, "w", 0o600);
  try {
    // Not writeSync: on a disk that fills up that writes a part, and says so only by the number it gives.
    writeFileSync(handle, text);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  renameSync(next, file);
}
