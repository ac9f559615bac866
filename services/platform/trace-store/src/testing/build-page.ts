import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { createPage, type Page } from "../page/load-page.js";

/** The page from its sources, put together as the bundle does. */
export async function buildPage(): Promise<Page> {
  const folder = new URL("../page/", import.meta.url);
  const bundle = async (name: string): Promise<string> => {
    const result = await build({
      entryPoints: [fileURLToPath(new URL(name, folder))],
      bundle: true,
      minify: true,
      write: false,
      format: "esm",
      target: "es2022",
      logLevel: "warning",
    });
    return result.outputFiles[0]?.text ?? "";
  };
  const [html, style, script] = await Promise.all([
    readFile(new URL("index.html", folder), "utf8"),
    bundle("style.css"),
    bundle("client/main.ts"),
  ]);
  return createPage({ html, style, script });
}
