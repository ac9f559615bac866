import { type Parsed, parsed, refused } from "@weft/foundation";
import { type ChassisConfig, chassisTable } from "./chassis-table.js";
import { closestName } from "./closest-name.js";
import type { Variable } from "./variable.js";

/** Rows by the name of their environment variable. */
export type ConfigTable = Readonly<Record<string, Variable<unknown>>>;

/** The values of a table, by the same names. */
export type ConfigValues<T extends ConfigTable> = {
  readonly [Name in keyof T]: T[Name] extends Variable<infer V> ? V : never;
};

/** One wrong variable. */
export interface ConfigProblem {
  readonly name: string;
  /** Printable in one line; never shows a secret. */
  readonly message: string;
}

/** Everything that is wrong with an environment, at once, with the table that it should satisfy. */
export interface ConfigError {
  readonly problems: readonly ConfigProblem[];
  /** What `exitWithUsage` prints: the problems, then the whole table. */
  readonly text: string;
}

/** A service's table merged with the one that every service has. */
export interface ConfigDefinition<T extends ConfigTable> {
  readonly table: T & ConfigTable;
  /** Reads an environment. Unknown `WEFT_` variables are problems too: a typo must not pass as the default. */
  parse(env: Environment): Parsed<ConfigValues<T> & ChassisConfig, ConfigError>;
  /** The table as text: name, form, default and doc of each variable. */
  usage(): string;
}

/** The environment of a process, as `main.ts` passes it in. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The typed config that a definition parses to. */
export type ConfigOf<D> = D extends ConfigDefinition<infer T> ? ConfigValues<T> & ChassisConfig : never;

/** Defines a service's config: its own variables beside those of the chassis. A name of the chassis can't be redefined. */
export function defineConfig<const T extends ConfigTable>(own: T): ConfigDefinition<T> {
  for (const name of Object.keys(own))
    if (Object.hasOwn(chassisTable, name)) throw new TypeError(`config table: ${name} belongs to the chassis`);
  const table = { ...own, ...chassisTable };
  const usage = (): string => usageOf(table);
  return {
    table,
    usage,
    parse(env) {
      const values: Record<string, unknown> = {};
      const problems: ConfigProblem[] = [];
      for (const [name, row] of Object.entries(table)) {
        const read = readVariable(name, row, env[name]);
        if (read.ok) values[name] = read.value;
        else problems.push({ name, message: read.error });
      }
      problems.push(...unknownNames(table, env));
      if (problems.length === 0) return parsed(fromCompleteValues<T>(values));
      return refused({ problems, text: errorText(problems, usage()) });
    },
  };
}

function readVariable(name: string, row: Variable<unknown>, text: string | undefined): Parsed<unknown> {
  const fallback = row.absent.t === "default" ? ` (default ${row.secret ? "[secret]" : row.absent.shown})` : "";
  if (text === undefined || text === "") {
    if (row.absent.t !== "required") return parsed(row.absent.value);
    return refused(`${name} is not set: it must be ${row.form}`);
  }
  const value = row.parse(text);
  if (value.ok) return value;
  const shown = row.secret ? "[secret]" : JSON.stringify(text);
  return refused(`${name}=${shown} ${value.error}: it must be ${row.form}${fallback}`);
}

function unknownNames(table: ConfigTable, env: Environment): ConfigProblem[] {
  return Object.keys(env)
    .filter((name) => name.startsWith("WEFT_") && !Object.hasOwn(table, name) && !isServiceLink(name))
    .sort()
    .map((name) => {
      const near = closestName(name, Object.keys(table));
      const hint = near === undefined ? "" : `: did you mean ${near}?`;
      return { name, message: `${name} is not a variable of this service${hint}` };
    });
}

/** Kubernetes sets such variables in every container for each Service; one called `weft-…` would look like ours. */
function isServiceLink(name: string): boolean {
  return (
    /_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT|PORT_\d+_(TCP|UDP)(_[A-Z]+)?)$/.test(name) &&
    /^WEFT_[A-Z0-9_]+_SERVICE_|_PORT_\d/.test(name)
  );
}

function errorText(problems: readonly ConfigProblem[], usage: string): string {
  const count = problems.length === 1 ? "1 variable is" : `${problems.length} variables are`;
  const lines = problems.map((problem) => `  ${problem.message}`);
  return `config: ${count} wrong\n${lines.join("\n")}\n\n${usage}`;
}

function usageOf(table: ConfigTable): string {
  const rows = Object.entries(table).map(([name, row]) => {
    const absent =
      row.absent.t === "required"
        ? "required"
        : row.absent.t === "optional"
          ? "optional"
          : `default ${row.secret ? "[secret]" : row.absent.shown}`;
    return `  ${name}\n      ${row.doc} ${capitalized(row.form)}; ${absent}.`;
  });
  return `Environment variables:\n${rows.join("\n")}\n`;
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function fromCompleteValues<T extends ConfigTable>(values: unknown): ConfigValues<T> & ChassisConfig {
  return values as ConfigValues<T> & ChassisConfig;
}
