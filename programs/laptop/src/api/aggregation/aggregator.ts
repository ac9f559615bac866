import type { IncomingMessage, ServerResponse } from "node:http";
import type { Agent } from "node:https";
import { type Clock, joinSignals, type Logger, Scope, sleep } from "@weft/foundation";
import { at, listAt, numberAt, sameJson, textAt } from "../../kinds/path.js";
import type { Json } from "../../kinds/resource-kind.js";
import { sendText } from "../answer.js";
import type { KindRegistry } from "../kind-registry.js";
import type { ObjectStore } from "../store.js";
import type { User } from "../tokens.js";
import { backendAgent, backendOf, resolveBackend } from "./backend.js";
import { ask, type Forwarding, forward } from "./forward.js";

/** A version of a group that another server answers. */
export interface ExtensionVersion {
  readonly group: string;
  readonly version: string;
  readonly available: boolean;
  /** The meta/v1 APIResources that the server named when it was last asked. */
  readonly resources: readonly unknown[];
}

/** Joins the servers of APIServices to this API: looks whether they answer, tells clients of their groups, forwards what is for them. */
export interface Aggregator extends AsyncDisposable {
  /** In the order of their priorities. */
  readonly versions: readonly ExtensionVersion[];
  serves(group: string, version: string): boolean;
  /** Forwards a request under this path, with its query; 503 when the server is away. */
  forward(
    request: IncomingMessage,
    response: ServerResponse,
    to: { readonly group: string; readonly version: string; readonly path: string; readonly user: User },
  ): Promise<void>;
}

/** How often servers are asked again: soon while one of them is away. */
const everyMs = 10_000;
const soonMs = 1_000;
/** Changes of Services and their Pods come in bunches. */
const gatherMs = 50;
const checkTimeoutMs = 5_000;

const watched = new Set(["apiservices.apiregistration.k8s.io", "services", "endpointslices.discovery.k8s.io"]);

interface Member {
  /** What connections are made by: another Service or bundle needs others. */
  spec: unknown;
  agent: Agent;
  available: boolean;
  resources: readonly unknown[];
}

interface Verdict {
  readonly status: "True" | "False";
  readonly reason: string;
  readonly message: string;
}

export interface AggregatorOptions {
  readonly store: ObjectStore;
  readonly kinds: KindRegistry;
  readonly frontProxy: { readonly cert: string; readonly key: string };
  readonly clock: Clock;
  readonly logger: Logger;
}

export function startAggregator(options: AggregatorOptions): Aggregator {
  const aggregator = new ApiServices(options);
  const scope = new Scope();
  let changed = new AbortController();
  const subscription = options.store.subscribe(options.store.version, (event) => {
    // Our own words on availability are no news.
    if (watched.has(event.kind) && !onlyStatus(event.object, event.previous)) changed.abort();
  });
  scope.defer(() => {
    subscription[Symbol.dispose]();
    aggregator.close();
  });
  scope.spawn(async (signal) => {
    while (!signal.aborted) {
      changed = new AbortController();
      const good = await aggregator.check();
      {
        using either = joinSignals({ clock: options.clock, signals: [signal, changed.signal] });
        await pause(good ? everyMs : soonMs, options.clock, either.signal);
      }
      await pause(gatherMs, options.clock, signal);
    }
  });
  return Object.assign(aggregator, { [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose]() });
}

class ApiServices {
  readonly #store: ObjectStore;
  readonly #kinds: KindRegistry;
  readonly #options: AggregatorOptions;
  readonly #members = new Map<string, Member>();

  constructor(options: AggregatorOptions) {
    this.#store = options.store;
    this.#kinds = options.kinds;
    this.#options = options;
  }

  get versions(): readonly ExtensionVersion[] {
    const byPriority = this.#list().toSorted(
      (a, b) =>
        (numberAt(b, "spec", "groupPriorityMinimum") ?? 0) - (numberAt(a, "spec", "groupPriorityMinimum") ?? 0) ||
        (numberAt(b, "spec", "versionPriority") ?? 0) - (numberAt(a, "spec", "versionPriority") ?? 0),
    );
    return byPriority.map((apiService) => {
      const member = this.#members.get(nameOf(apiService));
      return {
        group: textAt(apiService, "spec", "group"),
        version: textAt(apiService, "spec", "version"),
        available: member?.available ?? false,
        resources: member?.resources ?? [],
      };
    });
  }

  serves(group: string, version: string): boolean {
    return this.#find(group, version) !== undefined;
  }

  async forward(
    request: IncomingMessage,
    response: ServerResponse,
    { group, version, path, user }: Parameters<Aggregator["forward"]>[2],
  ): Promise<void> {
    const apiService = this.#find(group, version);
    const member = apiService === undefined ? undefined : this.#members.get(nameOf(apiService));
    const onward = apiService === undefined || member?.available !== true ? undefined : this.#way(apiService, member);
    if (onward === undefined) return sendText(response, 503, "service unavailable\n", "text/plain; charset=utf-8");
    try {
      await forward(request, response, { path, user }, onward);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      sendText(response, 503, `error trying to reach service: ${why}\n`, "text/plain; charset=utf-8");
    }
  }

  /** Asks every server and writes what came of it; whether all of them answered. */
  async check(): Promise<boolean> {
    const found = this.#list();
    const names = new Set(found.map(nameOf));
    for (const [name, member] of this.#members) {
      if (names.has(name)) continue;
      member.agent.destroy();
      this.#members.delete(name);
    }
    const verdicts = await Promise.all(
      found.map(async (apiService) => {
        const member = this.#member(apiService);
        const verdict = await this.#ask(apiService, member);
        member.available = verdict.status === "True";
        this.#write(nameOf(apiService), verdict);
        return member.available;
      }),
    );
    return verdicts.every((available) => available);
  }

  close(): void {
    for (const { agent } of this.#members.values()) agent.destroy();
    this.#members.clear();
  }

  #list(): readonly Json[] {
    const kind = this.#kinds.byKey("apiservices.apiregistration.k8s.io");
    if (kind === undefined) return [];
    // A group that is served here can't be taken away by a registration.
    const own = new Set(
      [...this.#kinds.all].flatMap(({ group, versions }) => versions.map((one) => `${one}.${group}`)),
    );
    return this.#store
      .list(kind)
      .filter((entry) => at(entry, "spec", "service") !== undefined && !own.has(nameOf(entry)));
  }

  #find(group: string, version: string): Json | undefined {
    return this.#list().find((entry) => nameOf(entry) === `${version}.${group}`);
  }

  #member(apiService: Json): Member {
    const known = this.#members.get(nameOf(apiService));
    const spec = apiService["spec"];
    if (known !== undefined && sameJson(known.spec, spec)) return known;
    known?.agent.destroy();
    const agent = backendAgent(apiService, this.#options.frontProxy);
    const member: Member = {
      spec,
      agent,
      available: known?.available ?? false,
      resources: known?.resources ?? [],
    };
    this.#members.set(nameOf(apiService), member);
    return member;
  }

  #way(apiService: Json, { agent }: Member): Forwarding | undefined {
    const resolved = resolveBackend(apiService, this.#store, this.#kinds);
    if (resolved.t === "none") return undefined;
    const address = resolved.addresses[Math.floor(Math.random() * resolved.addresses.length)];
    return address === undefined ? undefined : { agent, address, serverName: backendOf(apiService).serverName };
  }

  async #ask(apiService: Json, member: Member): Promise<Verdict> {
    const resolved = resolveBackend(apiService, this.#store, this.#kinds);
    if (resolved.t === "none") return { status: "False", reason: resolved.reason, message: resolved.message };
    const onward = this.#way(apiService, member);
    const path = `/apis/${textAt(apiService, "spec", "group")}/${textAt(apiService, "spec", "version")}`;
    if (onward === undefined) return { status: "False", reason: "MissingEndpoints", message: "no address" };
    try {
      member.resources = listAt(await ask(path, checkTimeoutMs, onward), "resources");
      return { status: "True", reason: "Passed", message: "all checks passed" };
    } catch (error) {
      const { host, port } = onward.address;
      const why = error instanceof Error ? error.message : String(error);
      return {
        status: "False",
        reason: "FailedDiscoveryCheck",
        message: `failing or missing response from https://${host}:${port}${path}: ${why}`,
      };
    }
  }

  /** Into the status, when it is new. */
  #write(name: string, verdict: Verdict): void {
    const kind = this.#kinds.byKey("apiservices.apiregistration.k8s.io");
    const apiService = kind === undefined ? undefined : this.#store.get(kind, "", name);
    if (kind === undefined || apiService === undefined) return;
    const conditions = listAt(apiService, "status", "conditions");
    const old = conditions.find((condition) => at(condition, "type") === "Available");
    const same = textAt(old, "status") === verdict.status;
    if (same && textAt(old, "reason") === verdict.reason && textAt(old, "message") === verdict.message) return;
    const now = `${new Date(this.#options.clock.wallMs()).toISOString().slice(0, 19)}Z`;
    const lastTransitionTime = (same && textAt(old, "lastTransitionTime")) || now;
    if (!same) this.#options.logger.info("availability of an APIService changed", { name, ...verdict });
    const others = conditions.filter((condition) => condition !== old);
    this.#store.put(kind, {
      ...apiService,
      status: { conditions: [...others, { type: "Available", ...verdict, lastTransitionTime }] },
    });
  }
}

const nameOf = (object: Json): string => textAt(object, "metadata", "name");

function onlyStatus(now: Json, before: Json | undefined): boolean {
  return before !== undefined && now["status"] !== before["status"] && sameJson(now["spec"], before["spec"]);
}

async function pause(waitMs: number, clock: Clock, signal: AbortSignal): Promise<void> {
  // Aborted while waiting: something changed, or the end; the loop looks.
  await sleep(waitMs, { clock, signal }).catch(() => {});
}
