import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { stateFolderOf } from "@weft/laptop";
import { down } from "./commands/down.js";
import { helpOf, overview } from "./commands/help.js";
import { kubeconfig } from "./commands/kubeconfig.js";
import { logs } from "./commands/logs.js";
import { reset } from "./commands/reset.js";
import { restart } from "./commands/restart.js";
import { status } from "./commands/status.js";
import { up } from "./commands/up.js";
import type { CommandContext, CommandName } from "./context.js";
import { CommandError, type Terminal } from "./terminal.js";

/** The checkout that this file was built in: `programs/cli/dist/main.js`, or `programs/cli/src/cli.ts` when run from source. */
const checkout = fileURLToPath(new URL("../../..", import.meta.url)).replace(/\/$/, "");

type Options = NonNullable<Parameters<typeof parseArgs>[0]>["options"];

/** Where a command looks that can also look into a cluster. */
const whichCluster = { kubeconfig: { type: "string" }, context: { type: "string" } } as const;

interface Command {
  readonly options: NonNullable<Options>;
  /** Names that must be given, as shown in the help; those in brackets may be left out. */
  readonly operands: readonly string[];
  run(context: CommandContext): Promise<number>;
}

const commands: Readonly<Record<CommandName, Command>> = {
  up: {
    options: { overlay: { type: "string" }, explain: { type: "boolean" }, "no-sample": { type: "boolean" } },
    operands: [],
    run: up,
  },
  status: { options: whichCluster, operands: [], run: status },
  logs: {
    options: {
      follow: { type: "boolean", short: "f" },
      tail: { type: "string" },
      previous: { type: "boolean", short: "p" },
    },
    operands: ["NAME"],
    run: logs,
  },
  restart: { options: {}, operands: ["NAME"], run: restart },
  kubeconfig: { options: {}, operands: [], run: kubeconfig },
  down: { options: {}, operands: [], run: down },
  reset: { options: {}, operands: [], run: reset },
  // These two bring an RPC client along, which `weft up` shall not carry all day: they are loaded when they are asked for.
  load: {
    options: {
      rate: { type: "string" },
      users: { type: "string" },
      minutes: { type: "string" },
      gateway: { type: "string" },
      ...whichCluster,
      seed: { type: "string" },
      json: { type: "string" },
    },
    operands: [],
    run: async (context) => (await import("./commands/load.js")).load(context),
  },
  sagas: {
    options: {
      service: { type: "string" },
      ...whichCluster,
      only: { type: "string" },
      name: { type: "string" },
      limit: { type: "string" },
      reason: { type: "string" },
      result: { type: "string" },
      force: { type: "boolean" },
    },
    operands: ["ACT", "[ID]", "[STEP]"],
    run: async (context) => (await import("./commands/sagas.js")).sagas(context),
  },
};

/** Runs one command line; gives the exit code: 0 done, 1 failed, 2 not understood. */
export async function runCli(terminal: Terminal): Promise<number> {
  const [name = "help", ...rest] = terminal.args;
  try {
    if (name === "help" || name === "--help" || name === "-h") {
      terminal.stdout.write(isCommand(rest[0]) ? helpOf(rest[0]) : overview());
      return 0;
    }
    if (!isCommand(name)) throw new CommandError(`there is no command "${name}": see "weft help"`, 2);
    return await runCommand(name, rest, terminal);
  } catch (error) {
    // What the system refuses (a full disk, a folder that is not ours) says what and where by itself; anything else is a mistake of ours.
    if (!(error instanceof CommandError || isSystemError(error))) throw error;
    terminal.stderr.write(`weft: ${error.message}\n`);
    return error instanceof CommandError ? error.exitCode : 1;
  }
}

async function runCommand(name: CommandName, args: readonly string[], terminal: Terminal): Promise<number> {
  const command = commands[name];
  const { values, positionals } = parse(name, command, args);
  if (values["help"] === true) {
    terminal.stdout.write(helpOf(name));
    return 0;
  }
  const least = command.operands.filter((operand) => !operand.startsWith("[")).length;
  if (positionals.length < least || positionals.length > command.operands.length) {
    const expected = command.operands.length === 0 ? "takes no name" : `takes ${command.operands.join(" ")}`;
    throw new CommandError(`"weft ${name}" ${expected}: see "weft help ${name}"`, 2);
  }
  const folder = values["state"];
  return await command.run({
    checkout,
    state: stateFolderOf(typeof folder === "string" ? resolve(folder) : join(checkout, ".weft")),
    operand: positionals[0] ?? "",
    operands: positionals,
    flag: (option) => values[option] === true,
    text(option) {
      const value = values[option];
      return typeof value === "string" ? value : undefined;
    },
    terminal,
  });
}

function parse(
  name: CommandName,
  command: Command,
  args: readonly string[],
): { readonly values: Readonly<Record<string, unknown>>; readonly positionals: readonly string[] } {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { ...command.options, state: { type: "string" }, help: { type: "boolean", short: "h" } },
    });
  } catch (error) {
    // Node adds a sentence on how to pass names that begin with a dash: nobody who mistyped an option wants that.
    const [message = ""] = (error instanceof Error ? error.message : String(error)).split(/\.\s/);
    throw new CommandError(`${message[0]?.toLowerCase()}${message.slice(1)}: see "weft help ${name}"`, 2);
  }
}

function isSystemError(error: unknown): error is Error {
  return error instanceof Error && "code" in error && "syscall" in error;
}

function isCommand(name: string | undefined): name is CommandName {
  return name !== undefined && Object.hasOwn(commands, name);
}
