import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));

/** A fenced code block of a document. */
export interface Block {
  /** Path from the root of the repository. */
  readonly file: string;
  /** The line of its first line of text, from 1. */
  readonly line: number;
  /** What stands after the fence; empty when nothing does. */
  readonly language: string;
  readonly text: string;
}

/** Where a block is, as compilers say it. */
export function placeOf({ file, line }: Block): string {
  return `${file}:${line}`;
}

/** The documents that a reader may follow: those of the root, of `docs/`, and every README. */
export function documents(): string[] {
  const found = readdirSync(root).filter((name) => name.endsWith(".md"));
  found.push(...markdownIn("docs"), ...markdownIn("k8s"));
  for (const folder of ["packages", "programs", "services"])
    found.push(...markdownIn(folder).filter((file) => file.endsWith("README.md")));
  return found.sort();
}

function markdownIn(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return ["node_modules", "dist", "src/gen"].includes(entry.name) ? [] : markdownIn(path);
    return entry.name.endsWith(".md") ? [path] : [];
  });
}

/** Every fenced block of every document, in order. */
export function readBlocks(files: readonly string[] = documents()): Block[] {
  return files.flatMap((file) => parseBlocks(relative(root, join(root, file)), readFileSync(join(root, file), "utf8")));
}

/** The fenced blocks of one document. Throws when a fence is never closed. */
export function parseBlocks(file: string, text: string): Block[] {
  const blocks: Block[] = [];
  let open: { readonly line: number; readonly language: string; readonly lines: string[] } | undefined;
  for (const [index, line] of text.split("\n").entries()) {
    const fence = /^```(.*)$/.exec(line);
    if (open === undefined) {
      if (fence !== null) open = { line: index + 2, language: (fence[1] ?? "").trim(), lines: [] };
    } else if (fence === null) {
      open.lines.push(line);
    } else {
      blocks.push({ file, line: open.line, language: open.language, text: `${open.lines.join("\n")}\n` });
      open = undefined;
    }
  }
  if (open !== undefined) throw new Error(`${file}:${open.line}: this block is never closed`);
  return blocks;
}
