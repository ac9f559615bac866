import { randomBytes } from "node:crypto";
import { eventually } from "@weft/foundation/testing";
import { afterAll, beforeAll, expect } from "vitest";
import { createKubeClient, type KubeClient } from "../../client.js";
import { KubeError } from "../../error.js";
import type { HttpAnswer, HttpCall, KubeServer } from "../../http.js";
import { type ConfigMap, type Deployment, kinds } from "../../kinds/index.js";
import type { NewObject } from "../../object.js";
import { isRecord } from "../../shape.js";

/** An API server to hold to the contract. */
export interface ContractTarget extends AsyncDisposable {
  /** How to reach it as somebody who may do anything. */
  readonly server: KubeServer;
  /** Makes the server forget the versions before now. Needed when the contract is told that it can. */
  compact?(): Promise<void>;
}

/** What the rules of the contract work with: a client, and a namespace of their own that is deleted at the end. */
export interface ContractWorld {
  readonly client: KubeClient;
  readonly server: KubeServer;
  readonly namespace: string;
  readonly compacts: boolean;
  compact(): Promise<void>;
}

/** Prepares the world before the first rule and takes it down after the last. */
export function useWorld(create: () => Promise<ContractTarget>, compacts: boolean): ContractWorld {
  const namespace = `weft-contract-${randomBytes(4).toString("hex")}`;
  let opened: { readonly target: ContractTarget; readonly client: KubeClient } | undefined;
  const ready = (): { readonly target: ContractTarget; readonly client: KubeClient } => {
    if (opened === undefined) throw new Error("the contract's world is not there yet");
    return opened;
  };
  beforeAll(async () => {
    const target = await create();
    const client = createKubeClient(target.server);
    opened = { target, client };
    await client.create(kinds.namespace, { metadata: { name: namespace } });
    // Every namespace gets one; tokens need it.
    await eventually(() => client.get(kinds.serviceAccount, { namespace, name: "default" }), { ceilingMs: 20_000 });
  });
  afterAll(async () => {
    if (opened === undefined) return;
    await opened.client.delete(kinds.namespace, { name: namespace });
    await opened.client[Symbol.asyncDispose]();
    await opened.target[Symbol.asyncDispose]();
  });
  return {
    get client() {
      return ready().client;
    },
    get server() {
      return ready().target.server;
    },
    namespace,
    compacts,
    async compact() {
      await ready().target.compact?.();
    },
  };
}

/** A ConfigMap of the world. */
export function configMap(world: ContractWorld, name: string, data: Record<string, string> = {}): NewObject<ConfigMap> {
  return { metadata: { name, namespace: world.namespace }, data };
}

/** A Deployment without Pods, so that no controller of a real cluster starts anything. */
export function deployment(world: ContractWorld, name: string): NewObject<Deployment> {
  return {
    metadata: { name, namespace: world.namespace, labels: { app: name } },
    spec: {
      replicas: 0,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: {
          containers: [
            { name: "main", image: "registry.invalid/main:1", env: [{ name: "A", value: "1" }] },
            { name: "side", image: "registry.invalid/side:1" },
          ],
        },
      },
    },
  };
}

/** The refusal that a call ends with. */
export async function refusalOf(work: Promise<unknown>): Promise<KubeError> {
  const outcome = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(outcome).toBeInstanceOf(KubeError);
  if (outcome instanceof KubeError) return outcome;
  throw new Error("the call was not refused");
}

/** Any request, its answer read as JSON. */
export async function send(world: ContractWorld, call: HttpCall): Promise<HttpAnswer & { readonly json: unknown }> {
  const answer = await world.client.request(call);
  return { ...answer, json: JSON.parse(answer.text) };
}

/** The value at a path of field names and indexes. */
export function at(value: unknown, ...path: readonly (string | number)[]): unknown {
  let here = value;
  for (const step of path) {
    if (Array.isArray(here) && typeof step === "number") here = here[step];
    else here = isRecord(here) ? here[String(step)] : undefined;
  }
  return here;
}
