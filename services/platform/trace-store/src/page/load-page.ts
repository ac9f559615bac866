import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";

/** The trace page as it is sent: one document that holds its style and script, and the policy that allows just these. */
export interface Page {
  readonly html: Buffer;
  readonly gzipped: Buffer;
  readonly contentSecurityPolicy: string;
}

/** The parts that the page is put together from. */
export interface PageParts {
  readonly html: string;
  readonly style: string;
  readonly script: string;
}

/** Reads the parts from a folder that holds `index.html`, `style.css` and `main.js`. */
export async function loadPage(folder: URL): Promise<Page> {
  const read = (name: string): Promise<string> => readFile(new URL(name, folder), "utf8");
  const [html, style, script] = await Promise.all([read("index.html"), read("style.css"), read("main.js")]);
  return createPage({ html, style, script });
}

/** Puts the style and the script in the place of the document's `<!-- style -->` and `<!-- script -->`. */
export function createPage(parts: PageParts): Page {
  const style = parts.style.trim();
  const script = parts.script.trim();
  const html = Buffer.from(
    parts.html
      .replace("<!-- style -->", () => `<style>${style}</style>`)
      .replace("<!-- script -->", () => `<script type="module">${script}</script>`),
  );
  return {
    html,
    gzipped: gzipSync(html, { level: 9 }),
    contentSecurityPolicy: [
      "default-src 'none'",
      `style-src '${hashOf(style)}'`,
      `script-src '${hashOf(script)}'`,
      "connect-src 'self'",
      "img-src data:",
      "base-uri 'none'",
      "form-action 'self'",
      "frame-ancestors 'none'",
    ].join("; "),
  };
}

function hashOf(text: string): string {
  return `sha256-${createHash("sha256").update(text).digest("base64")}`;
}
