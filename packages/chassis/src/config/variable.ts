import { type Parsed, parsed, refused } from "@weft/foundation";
import { Secret } from "./secret.js";

/** One row of a config table: how the text of one environment variable becomes a typed value. */
export interface Variable<T> {
  /** What it does, for the usage text. */
  readonly doc: string;
  /** The expected form in words: `a duration such as 5s`. */
  readonly form: string;
  /** True when neither the wrong value nor the default may be shown. */
  readonly secret: boolean;
  /** Used when the variable is unset or empty. */
  readonly absent:
    | { readonly t: "required" }
    | { readonly t: "optional"; readonly value: T }
    | { readonly t: "default"; readonly value: T; readonly shown: string };
  /** The error says what is wrong with the text, without repeating it. */
  parse(text: string): Parsed<T>;
}

/** What every variable is described with. Without `default` it is required. */
export interface VariableOptions<D> {
  readonly doc: string;
  /** In the text form that the environment would have. */
  readonly default?: D;
}

interface Kind<T> {
  readonly form: string;
  readonly secret?: boolean;
  parse(text: string): Parsed<T>;
}

function define<T>(kind: Kind<T>, options: VariableOptions<string>): Variable<T> {
  return {
    doc: options.doc,
    form: kind.form,
    secret: kind.secret === true,
    absent: options.default === undefined ? { t: "required" } : defaultOf(kind, options.default),
    parse: kind.parse,
  };
}

function defaultOf<T>(kind: Kind<T>, text: string): Variable<T>["absent"] {
  const value = kind.parse(text);
  if (!value.ok) throw new TypeError(`config table: default ${JSON.stringify(text)}: ${value.error}`);
  return { t: "default", value: value.value, shown: text };
}

const integerText = /^-?\d{1,15}$/;
const durationPart = /(\d+(?:\.\d+)?)(ms|s|m|h|d)/gy;
const durationUnitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const bytesText = /^(\d+)(B|KiB|MiB|GiB|Ki|Mi|Gi)?$/;
const bytesUnit: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 1024,
  Ki: 1024,
  MiB: 1024 ** 2,
  Mi: 1024 ** 2,
  GiB: 1024 ** 3,
  Gi: 1024 ** 3,
};

/** Milliseconds of a duration such as `250ms`, `5s` or `1m30s`; `0` needs no unit. */
export function parseDurationMs(text: string): Parsed<number> {
  if (text === "0") return parsed(0);
  let total = 0;
  let end = 0;
  for (const match of text.matchAll(durationPart)) {
    total += Number(match[1]) * (durationUnitMs[match[2] ?? ""] ?? Number.NaN);
    end = match.index + match[0].length;
  }
  if (text === "" || end !== text.length) return refused("is not a number with a unit (ms, s, m, h, d)");
  return parsed(total);
}

function parseBytes(text: string): Parsed<number> {
  const match = bytesText.exec(text);
  if (match === null) return refused("is not a whole number with a unit (B, KiB, MiB, GiB)");
  return parsed(Number(match[1]) * (bytesUnit[match[2] ?? "B"] ?? 1));
}

function parseInteger(text: string, min: number, max: number): Parsed<number> {
  if (!integerText.test(text)) return refused("is not a whole number");
  const value = Number(text);
  return value < min || value > max ? refused(`is not between ${min} and ${max}`) : parsed(value);
}

function parseHostPort(text: string): Parsed<string> {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^\s:/]+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2] ?? 0);
  return match === null || port < 1 || port > 65_535 ? refused("is not host:port") : parsed(text);
}

/** The kinds of variables a config table is made of. */
export const variable = {
  /** Any text that is not empty; `pattern` narrows it, said in words by `form`. */
  string(options: VariableOptions<string> & { readonly pattern?: RegExp; readonly form?: string }): Variable<string> {
    const { pattern, form = "text" } = options;
    const parse = (text: string): Parsed<string> =>
      pattern === undefined || pattern.test(text) ? parsed(text) : refused(`is not ${form}`);
    return define({ form, parse }, options);
  },

  /** A whole number in [min, max]. */
  int(options: VariableOptions<number> & { readonly min?: number; readonly max?: number }): Variable<number> {
    const { min = 0, max = Number.MAX_SAFE_INTEGER } = options;
    const form = max === Number.MAX_SAFE_INTEGER ? `a whole number ≥ ${min}` : `a whole number from ${min} to ${max}`;
    return define({ form, parse: (text) => parseInteger(text, min, max) }, textDefault(options));
  },

  /** A TCP port to bind; 0 takes a free one. */
  port(options: VariableOptions<number>): Variable<number> {
    return variable.int({ ...options, min: 0, max: 65_535 });
  },

  /** A duration; the value is in milliseconds. */
  duration(options: VariableOptions<string>): Variable<number> {
    return define({ form: "a duration such as 250ms, 5s or 1m30s", parse: parseDurationMs }, options);
  },

  /** An amount of memory or data; the value is in bytes. */
  bytes(options: VariableOptions<string>): Variable<number> {
    return define({ form: "a size such as 512KiB or 64MiB", parse: parseBytes }, options);
  },

  /** `true` or `false`. */
  boolean(options: VariableOptions<boolean>): Variable<boolean> {
    const parse = (text: string): Parsed<boolean> =>
      /^(true|1)$/i.test(text)
        ? parsed(true)
        : /^(false|0)$/i.test(text)
          ? parsed(false)
          : refused("is neither true nor false");
    return define({ form: "true or false", parse }, textDefault(options));
  },

  /** One of a fixed set of words. */
  oneOf<const T extends string>(values: readonly T[], options: VariableOptions<NoInfer<T>>): Variable<T> {
    const parse = (text: string): Parsed<T> => {
      for (const value of values) if (value === text) return parsed(value);
      return refused("is none of these");
    };
    return define({ form: `one of ${values.join(", ")}`, parse }, options);
  },

  /** An absolute URL; `protocols` such as `["http:", "https:"]` narrows it. */
  url(options: VariableOptions<string> & { readonly protocols?: readonly string[] }): Variable<URL> {
    const { protocols } = options;
    const form = protocols === undefined ? "a URL" : `a URL that starts with ${protocols.join("// or ")}//`;
    const parse = (text: string): Parsed<URL> => {
      if (!URL.canParse(text)) return refused("is not a URL");
      const url = new URL(text);
      return protocols === undefined || protocols.includes(url.protocol) ? parsed(url) : refused("has another scheme");
    };
    return define({ form, parse }, options);
  },

  /** `host:port`, the value stays text. */
  hostPort(options: VariableOptions<string>): Variable<string> {
    return define({ form: "host:port", parse: parseHostPort }, options);
  },

  /** Text that is never shown; `check` says what is wrong with it, if anything, without repeating it. */
  secret(
    options: VariableOptions<string> & {
      readonly form?: string;
      readonly check?: (text: string) => string | undefined;
    },
  ): Variable<Secret> {
    const { form = "a secret", check } = options;
    const parse = (text: string): Parsed<Secret> => {
      const wrong = check?.(text);
      return wrong === undefined ? parsed(new Secret(text)) : refused(wrong);
    };
    return define({ form, secret: true, parse }, options);
  },

  /** A secret key of `bytes` bytes in base64; see {@link Secret}. */
  secretKey(options: VariableOptions<string> & { readonly bytes: number }): Variable<Secret> {
    const form = `${options.bytes} bytes in base64`;
    const check = (text: string): string | undefined =>
      /^[A-Za-z0-9+/_-]+={0,2}$/.test(text) && Buffer.from(text, "base64").length === options.bytes
        ? undefined
        : `is not ${form}`;
    return variable.secret({ ...options, form, check });
  },

  /** Items separated by commas; spaces around them and empty ones are dropped. */
  list(options: VariableOptions<string>): Variable<readonly string[]> {
    const parse = (text: string): Parsed<readonly string[]> =>
      parsed(
        text
          .split(",")
          .map((item) => item.trim())
          .filter((item) => item !== ""),
      );
    return define({ form: "items separated by commas", parse }, options);
  },

  /** The same variable, but one that may be unset: then its value is `undefined`. */
  optional<T>(of: Variable<T>): Variable<T | undefined> {
    return { ...of, absent: { t: "optional", value: undefined } };
  },
} as const;

function textDefault(options: VariableOptions<number | boolean>): VariableOptions<string> {
  return options.default === undefined ? { doc: options.doc } : { doc: options.doc, default: String(options.default) };
}
