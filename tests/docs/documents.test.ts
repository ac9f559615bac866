import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { run } from "../e2e/laptop.js";
import { documents, parseBlocks, placeOf, readBlocks, root } from "./blocks.js";
import { commandsIn, coveredElsewhere, endless, parseCommands, runBy } from "./shell.js";
import { compile, isComplete, promised, runSnippet } from "./snippets.js";

const blocks = readBlocks();
const snippets = blocks.filter(({ language }) => language === "ts");

/** Run by the test of its own package, which has the cluster that it needs. */
const runElsewhere: Readonly<Record<string, string>> = {
  "packages/kube/README.md": "programs/laptop/src/api/kube-readme.test.ts",
};

/** What only a drawing has. */
const drawing = /[─━│┌└├┐┘▶▲▼◀→←⇄]/u;

describe("the documents", () => {
  test("every block is code that is tested, a manifest, a command, or a drawing", () => {
    const unknown = blocks
      .filter(
        ({ language, text }) =>
          !(["ts", "yaml", "text", ...Object.keys(runBy)].includes(language) || isDrawing(language, text)),
      )
      .map((block) => `${placeOf(block)}: a block of "${block.language}" that no test looks at`);
    expect(unknown).toEqual([]);
  });

  test("a block that is neither is found", () => {
    const [block] = parseBlocks("X.md", "text\n```\nnpm start\n```\n");
    expect(block).toEqual({ file: "X.md", line: 3, language: "", text: "npm start\n" });
    expect(isDrawing("", "npm start\n")).toBe(false);
  });

  test("every link inside the repository leads somewhere", () => {
    const broken = documents().flatMap((file) =>
      [...readFileSync(join(root, file), "utf8").matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)]
        .map(([, target]) => target ?? "")
        .filter((target) => !existsSync(join(root, dirname(file), target)))
        .map((target) => `${file}: ${target}`),
    );
    expect(broken).toEqual([]);
  });

  test("every script that is named exists", () => {
    const { scripts }: { readonly scripts: Readonly<Record<string, string>> } = parsePackage();
    const missing = documents().flatMap((file) =>
      [...readFileSync(join(root, file), "utf8").matchAll(/npm run ([\w:-]+)/g)]
        .map(([, name]) => name ?? "")
        .filter((name) => scripts[name] === undefined)
        .map((name) => `${file}: npm run ${name}`),
    );
    expect(missing).toEqual([]);
  });

  test("the manifest that the README shows is the one that it applies", () => {
    const shown = blocks.filter(({ file, language }) => file === "README.md" && language === "yaml");
    expect(shown.map(({ text }) => text)).toEqual([readFileSync(join(root, "k8s/examples/canary.yaml"), "utf8")]);
  });
});

describe("TypeScript", () => {
  test("every snippet compiles against the packages", async () => {
    expect(snippets.length).toBeGreaterThan(5);
    expect(await compile(snippets)).toEqual([]);
  });

  test("a snippet that does not compile is named with its line", async () => {
    const wrong = { file: "X.md", line: 10, language: "ts", text: 'const one = 1;\nconst two: number = "two";\n' };
    expect((await compile([wrong])).join("\n")).toMatch(/^X\.md\(11,7\): error TS2322/);
  });

  test.each(
    snippets
      .filter((snippet) => isComplete(snippet) && runElsewhere[snippet.file] === undefined)
      .map((snippet) => [placeOf(snippet), snippet] as const),
  )("%s runs, and prints what it promises", async (_, snippet) => {
    const printed = await runSnippet(snippet);
    for (const said of promised(snippet)) expect(printed).toContain(said);
  });

  test("what is run elsewhere is run there", () => {
    for (const [document, file] of Object.entries(runElsewhere))
      expect(readFileSync(join(root, file), "utf8")).toContain(document.replace(/^.*?\//, "/"));
  });
});

describe("manifests", () => {
  const manifests = blocks.filter(({ language }) => language === "yaml");

  test.each(manifests.map((block) => [placeOf(block), block] as const))("%s is accepted", async (_, block) => {
    expect(await explain(block.text)).toMatchObject({ code: 0, stderr: "" });
  });

  test("one with an unknown field is not", async () => {
    const wrong = manifests[0]?.text.replace("parentRefs:", "parentRef:") ?? "";
    expect(await explain(wrong)).toMatchObject({ code: 2, stderr: expect.stringContaining("parentRefs") });
  });
});

describe("commands", () => {
  test("each that another test stands for is in that test, and still in a document", () => {
    const typed = blocks
      .filter(({ language }) => Object.hasOwn(runBy, language))
      .flatMap(parseCommands)
      .map(({ text }) => text);
    for (const [command, { file, test: name }] of Object.entries(coveredElsewhere)) {
      expect(typed).toContain(command);
      expect(readFileSync(join(root, file), "utf8")).toContain(name);
    }
    for (const command of endless) expect(typed).toContain(command);
  });

  test("each kind of block has a test that runs it, or is marked as needing a cloud", () => {
    for (const [language, file] of Object.entries(runBy)) {
      expect(blocks.map((block) => block.language)).toContain(language);
      if (language !== "sh" && file !== undefined)
        expect(readFileSync(join(root, file), "utf8")).toContain(`"${language}"`);
    }
  });

  test("the others are ones that commands.system.test.ts can run", () => {
    const strange = commandsIn(blocks)
      .filter(({ text }) => coveredElsewhere[text] === undefined)
      .filter(({ text }) => !/^(npx weft|kubectl|curl|export KUBECONFIG=\$\(npx weft kubeconfig\)$)/.test(text))
      .map(({ file, line, text }) => `${file}:${line}: ${text}`);
    expect(strange).toEqual([]);
  });
});

function isDrawing(language: string, text: string): boolean {
  return language === "" && drawing.test(text);
}

/** What the laptop says of a manifest, without starting anything. */
async function explain(manifest: string): ReturnType<typeof run> {
  const folder = mkdtempSync(join(tmpdir(), "weft-docs-"));
  try {
    writeFileSync(join(folder, "manifest.yaml"), manifest);
    writeFileSync(join(folder, "kustomization.yaml"), "resources: [manifest.yaml]\n");
    const launcher = join(root, "programs/cli/bin/weft.js");
    return await run(process.execPath, [launcher, "up", "--explain", "--overlay", folder]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function parsePackage(): { readonly scripts: Readonly<Record<string, string>> } {
  return JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly scripts: Readonly<Record<string, string>>;
  };
}
