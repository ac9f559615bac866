import { type Block, readBlocks } from "./blocks.js";

/** One command of a document, with what is read from it. */
export interface Command {
  readonly file: string;
  readonly line: number;
  /** As typed, without its comment; a here-document and its lines included. */
  readonly text: string;
}

/**
 * What stands after the fence of a block of commands, and the test that runs the block. `sh` is for the laptop; what needs a cloud, the internet or
 * Docker is run by nobody.
 */
export const runBy: Readonly<Record<string, string | undefined>> = {
  sh: "tests/docs/commands.system.test.ts",
  "sh cluster": "tests/cluster/documents.long.test.ts",
  "sh backup": "tests/cluster/backup.long.test.ts",
  "sh cloud": undefined,
};

/** Commands that another test runs, or that need what no test may touch: each with the test that stands for it. */
export const coveredElsewhere: Readonly<Record<string, { readonly file: string; readonly test: string }>> = {
  "npm ci && npm start": { file: "tests/e2e/laptop.ts", test: "started as a user starts it" },
  "npm ci && npm test": { file: ".ci/run", test: "tier test" },
  "npm ci": { file: ".ci/run", test: "npm ci" },
  "npm run check": { file: "package.json", test: "scripts/check.mjs" },
  "npx weft up --no-sample &": { file: "tests/e2e/laptop.ts", test: '["up", "--state", state, "--no-sample"' },
  "npx weft down": { file: "tests/docs/commands.system.test.ts", test: "weft down ends it" },
  "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 npm start": {
    file: "tests/interop/jaeger.interop.test.ts",
    test: "an order is one trace in a Jaeger of your own",
  },
  "kubectl apply --server-side -f https://github.com/kubernetes-sigs/gateway-api/releases/download/v1.6.0/standard-install.yaml":
    { file: "tests/cluster/install.cluster.test.ts", test: "installGatewayApi" },
  "kubectl wait --for=condition=Established crd --all": {
    file: "tests/cluster/install.ts",
    test: "--for=condition=Established",
  },
  "kubectl apply -k k8s/overlays/cluster": {
    file: "tests/cluster/install.cluster.test.ts",
    test: "change nothing the second time",
  },
  "kubectl delete secret -n shop -l app.kubernetes.io/managed-by=database-setup": {
    file: "tests/cluster/install.cluster.test.ts",
    test: "app.kubernetes.io/managed-by=database-setup",
  },
  "kubectl delete -k k8s/overlays/cluster": {
    file: "tests/cluster/install.cluster.test.ts",
    test: "leaves nothing behind",
  },
  "npx vitest run services/shop/catalog": { file: "package.json", test: "vitest run" },
  "npx vitest run services/shop/inventory": { file: "package.json", test: "vitest run" },
  "npx vitest run services/shop/orders": { file: "package.json", test: "vitest run" },
};

/** Commands that go on until Ctrl-C. */
export const endless: readonly string[] = ["npx weft logs orders -f"];

/** Every command for the laptop in these blocks, in order. */
export function commandsIn(blocks: readonly Block[] = readBlocks()): Command[] {
  return blocks.filter(({ language }) => language === "sh").flatMap(parseCommands);
}

/** The commands of one block, in order. Throws when one does not end. */
export function parseCommands({ file, line: first, text }: Block): Command[] {
  const commands: Command[] = [];
  let open: { readonly line: number; readonly lines: string[]; readonly end: string | undefined } | undefined;
  for (const [index, raw] of text.split("\n").entries()) {
    if (open === undefined) {
      const line = withoutComment(raw);
      if (line === "") continue;
      open = { line: first + index, lines: [line], end: /<<-?\s*'?(\w+)'?/.exec(line)?.[1] };
    } else {
      open.lines.push(raw);
    }
    const last = open.lines.at(-1) ?? "";
    const done: boolean =
      open.end === undefined ? !last.endsWith("\\") : open.lines.length > 1 && last.trim() === open.end;
    if (!done) continue;
    commands.push({ file, line: open.line, text: open.lines.join("\n") });
    open = undefined;
  }
  if (open !== undefined) throw new Error(`${file}:${open.line}: this command does not end`);
  return commands;
}

/** A `#` after white space begins a comment; in these documents none stands in quotes. */
function withoutComment(line: string): string {
  return line.replace(/(^|\s)#.*$/, "").trim();
}
