/**
 * Preloaded with `node --import` into every Pod: answers the names of Kubernetes Services as a cluster's DNS would, and leaves all others to the system.
 * It stands alone (only Node's own modules), patches `dns` before anything imports it, and reads a small file that the laptop replaces by rename:
 *
 *   LAPTOP_NAMES_FILE  {"namespaces": ["shop"], "services": {"orders.shop": ["127.20.7.9"]}}
 *   LAPTOP_NAMESPACE   the Pod's own namespace, for a bare `orders`
 *
 * There is no virtual address: a name is the addresses of the Service's ready Pods, in random order, and ENOTFOUND when it has none.
 */
import dns from "node:dns";
import { readFileSync, statSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";

interface Names {
  readonly namespaces: ReadonlySet<string>;
  readonly services: ReadonlyMap<string, readonly string[]>;
}

type Answer = { readonly t: "addresses"; readonly addresses: readonly string[] } | { readonly t: "not-a-service" };

type LookupCallback = (error: Error | null, address?: unknown, family?: number) => void;

const noNames: Names = { namespaces: new Set(), services: new Map() };

const file = process.env["LAPTOP_NAMES_FILE"];
if (file !== undefined) install(createNames(file), process.env["LAPTOP_NAMESPACE"] ?? "default");

/** Reads the file again only when it was replaced: its inode and time say so. */
function createNames(path: string): () => Names {
  let seen = "";
  let names = noNames;
  return () => {
    try {
      const stat = statSync(path, { bigint: true });
      const version = `${stat.ino}:${stat.mtimeNs}`;
      if (version === seen) return names;
      names = parseNames(JSON.parse(readFileSync(path, "utf8")));
      seen = version;
    } catch {
      // Replaced this instant, or gone with the laptop: what was known stays.
    }
    return names;
  };
}

function parseNames(value: unknown): Names {
  if (typeof value !== "object" || value === null) return noNames;
  const namespaces = "namespaces" in value && Array.isArray(value.namespaces) ? value.namespaces.map(String) : [];
  const services = new Map<string, readonly string[]>();
  if ("services" in value && typeof value.services === "object" && value.services !== null) {
    for (const [name, addresses] of Object.entries(value.services)) {
      if (Array.isArray(addresses)) services.set(name, addresses.map(String));
    }
  }
  return { namespaces: new Set(namespaces), services };
}

/** What a name is: `svc`, `svc.ns`, `svc.ns.svc` and `svc.ns.svc.cluster.local` are Services, with or without a final dot. */
function resolve(hostname: string, names: Names, ownNamespace: string): Answer {
  const labels = hostname.toLowerCase().replace(/\.$/, "").split(".");
  const [service, namespace] = labels;
  const suffix = labels.slice(2).join(".");
  if (labels.length === 1) {
    const addresses = names.services.get(`${service}.${ownNamespace}`);
    return addresses === undefined ? { t: "not-a-service" } : { t: "addresses", addresses };
  }
  const qualified = suffix === "svc" || suffix === "svc.cluster.local";
  if (!qualified && !(suffix === "" && namespace !== undefined && names.namespaces.has(namespace))) {
    return { t: "not-a-service" };
  }
  return { t: "addresses", addresses: names.services.get(`${service}.${namespace}`) ?? [] };
}

function shuffled(addresses: readonly string[]): readonly string[] {
  return addresses
    .map((address) => ({ address, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ address }) => address);
}

function notFound(syscall: string, hostname: string): Error {
  return Object.assign(new Error(`${syscall} ENOTFOUND ${hostname}`), {
    code: "ENOTFOUND",
    errno: -3008,
    syscall,
    hostname,
  });
}

/** Stands before a function of `dns`: answers itself, or lets the `system` answer. */
type Interceptor = (args: readonly unknown[], system: () => unknown) => unknown;

function install(names: () => Names, ownNamespace: string): void {
  const answer = (hostname: unknown): Answer =>
    typeof hostname === "string" ? resolve(hostname, names(), ownNamespace) : { t: "not-a-service" };

  // dns.lookup(hostname[, options | family], callback)
  const lookup: Interceptor = (args, system) => {
    const found = answer(args[0]);
    const callback = parseCallback(args[args.length - 1]);
    if (found.t === "not-a-service" || callback === undefined) return system();
    const options = parseOptions(args.length > 2 ? args[1] : undefined);
    process.nextTick(() => {
      const { error, value, family } = lookedUp(String(args[0]), found.addresses, options);
      if (error !== undefined) callback(error);
      else callback(null, value, family);
    });
    return {};
  };

  // dns.promises.lookup(hostname[, options | family])
  const lookupPromise: Interceptor = async (args, system) => {
    const found = answer(args[0]);
    if (found.t === "not-a-service") return system();
    const { error, value, family } = lookedUp(String(args[0]), found.addresses, parseOptions(args[1]));
    if (error !== undefined) throw error;
    return family === undefined ? value : { address: value, family };
  };

  // dns.promises.resolve4(hostname[, options]) and dns.promises.resolve(hostname[, "A"]); a Service has no other records here.
  const resolvePromise: Interceptor = async (args, system) => {
    const found = answer(args[0]);
    if (found.t === "not-a-service" || (typeof args[1] === "string" && args[1] !== "A")) return system();
    if (found.addresses.length === 0) throw notFound("queryA", String(args[0]));
    const addresses = shuffled(found.addresses);
    return parseOptions(args[1]).ttl ? addresses.map((address) => ({ address, ttl: 1 })) : addresses;
  };

  // dns.resolve4(hostname[, options], callback) and dns.resolve(hostname[, "A"], callback)
  const resolveCallback: Interceptor = (args, system) => {
    const callback = parseCallback(args[args.length - 1]);
    const otherRecord = args.length > 2 && typeof args[1] === "string" && args[1] !== "A";
    if (callback === undefined || otherRecord || answer(args[0]).t === "not-a-service") return system();
    Promise.resolve(resolvePromise(args.slice(0, -1), system)).then(
      (addresses) => process.nextTick(callback, null, addresses),
      (error: unknown) => process.nextTick(callback, error),
    );
    return {};
  };

  patch(dns, { lookup, resolve: resolveCallback, resolve4: resolveCallback });
  patch(dns.promises, { lookup: lookupPromise, resolve: resolvePromise, resolve4: resolvePromise });
  patch(dns.Resolver.prototype, { resolve: resolveCallback, resolve4: resolveCallback });
  patch(dns.promises.Resolver.prototype, { resolve: resolvePromise, resolve4: resolvePromise });
  // Named imports of node:dns and node:dns/promises see the new functions.
  syncBuiltinESMExports();
}

interface LookedUp {
  readonly error?: Error;
  readonly value?: unknown;
  readonly family?: number;
}

function lookedUp(hostname: string, found: readonly string[], options: LookupOptions): LookedUp {
  const addresses = options.family === 6 ? [] : shuffled(found);
  if (addresses.length === 0) return { error: notFound("getaddrinfo", hostname) };
  if (options.all) return { value: addresses.map((address) => ({ address, family: 4 })) };
  return { value: addresses[0], family: 4 };
}

/** Replaces functions of an object, keeping what else hangs on them (`util.promisify` looks there). */
function patch(target: object, interceptors: Readonly<Record<string, Interceptor>>): void {
  for (const [name, intercept] of Object.entries(interceptors)) {
    const original: unknown = Reflect.get(target, name);
    if (typeof original !== "function") continue;
    const replacement = function (this: unknown, ...args: readonly unknown[]): unknown {
      return intercept(args, () => Reflect.apply(original, this, args));
    };
    Object.defineProperties(replacement, Object.getOwnPropertyDescriptors(original));
    Reflect.set(target, name, replacement);
  }
}

interface LookupOptions {
  readonly all: boolean;
  readonly ttl: boolean;
  readonly family: unknown;
}

function parseOptions(value: unknown): LookupOptions {
  if (typeof value === "number") return { all: false, ttl: false, family: value };
  if (typeof value !== "object" || value === null) return { all: false, ttl: false, family: 0 };
  return {
    all: "all" in value && value.all === true,
    ttl: "ttl" in value && value.ttl === true,
    family: "family" in value ? (value.family === "IPv6" ? 6 : value.family) : 0,
  };
}

function parseCallback(value: unknown): LookupCallback | undefined {
  return typeof value === "function" ? (value as LookupCallback) : undefined;
}
