import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import type { Container, Volume } from "@weft/kube";
import { ConfigMissing, type ConfigSource } from "./config-source.js";
import { fieldValue, type PodFacts, resourceValue } from "./downward.js";
import type { Mount } from "./expansion.js";

/** A projected token is asked for anew when this share of its life is over. */
const tokenRefreshShare = 0.8;
const defaultTokenSeconds = 3600;

interface HeldToken {
  readonly token: string;
  readonly refreshAtMs: number;
}

/**
 * The volumes of one Pod as folders under its own: 0700, files 0600, each file replaced by rename when it changes.
 * An emptyDir is a folder that nobody but the containers writes to; it stays over their restarts and goes with the Pod.
 */
export class PodVolumes {
  readonly #folder: string;
  readonly #source: ConfigSource;
  readonly #tokens = new Map<string, HeldToken>();

  constructor(folder: string, source: ConfigSource) {
    this.#folder = folder;
    this.#source = source;
  }

  /** Makes every folder and brings every file up to date. Throws {@link ConfigMissing} while something that a volume names is not there. */
  async sync(facts: PodFacts): Promise<void> {
    for (const volume of facts.pod.spec.volumes ?? []) {
      const folder = this.#folderOf(volume.name);
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      const files = await this.#filesOf(volume, facts);
      if (files !== undefined) writeFiles(folder, files);
    }
  }

  /** Where a container finds its volumes. */
  mountsOf(container: Container): readonly Mount[] {
    return (container.volumeMounts ?? []).map(({ name, mountPath, subPath }) => ({
      mountPath: mountPath.replace(/(?<=.)\/+$/, ""),
      hostPath: subPath === undefined ? this.#folderOf(name) : join(this.#folderOf(name), subPath),
    }));
  }

  /** The contents of a volume; `undefined` for one that belongs to the containers. */
  async #filesOf(volume: Volume, facts: PodFacts): Promise<ReadonlyMap<string, Buffer> | undefined> {
    const files = new Map<string, Buffer>();
    if (volume.emptyDir !== undefined) return undefined;
    if (volume.configMap !== undefined) {
      const { name, items, optional } = volume.configMap;
      this.#addConfigMap(files, facts, { name, items, optional });
    } else if (volume.secret !== undefined) {
      const { secretName, items, optional } = volume.secret;
      this.#addSecret(files, facts, { name: secretName, items, optional });
    } else if (volume.downwardAPI !== undefined) {
      addDownward(files, facts, volume.downwardAPI.items);
    } else if (volume.projected !== undefined) {
      for (const source of volume.projected.sources ?? []) {
        if (source.configMap !== undefined) this.#addConfigMap(files, facts, source.configMap);
        if (source.secret !== undefined) this.#addSecret(files, facts, source.secret);
        if (source.downwardAPI !== undefined) addDownward(files, facts, source.downwardAPI.items);
        if (source.serviceAccountToken !== undefined) {
          const { path, audience, expirationSeconds = defaultTokenSeconds } = source.serviceAccountToken;
          files.set(path, Buffer.from(await this.#token(facts, audience, expirationSeconds)));
        }
      }
    } else {
      throw new ConfigMissing(`volume "${volume.name}" is of a kind that the laptop does not have`);
    }
    return files;
  }

  async #token(facts: PodFacts, audience: string | undefined, expirationSeconds: number): Promise<string> {
    const key = `${audience ?? ""}/${expirationSeconds}`;
    const held = this.#tokens.get(key);
    if (held !== undefined && Date.now() < held.refreshAtMs) return held.token;
    const nowMs = Date.now();
    const { token, expiresAtMs } = await this.#source.token(facts.pod, { audience, expirationSeconds });
    this.#tokens.set(key, { token, refreshAtMs: nowMs + (expiresAtMs - nowMs) * tokenRefreshShare });
    return token;
  }

  #addConfigMap(files: Map<string, Buffer>, facts: PodFacts, ref: DataRef): void {
    const object = this.#source.configMap(facts.pod.metadata.namespace ?? "default", ref.name ?? "");
    if (object === undefined) {
      if (ref.optional !== true) throw new ConfigMissing(`configmap "${ref.name}" not found`);
      return;
    }
    const data = new Map<string, Buffer>();
    for (const [key, value] of Object.entries(object.data ?? {})) data.set(key, Buffer.from(value));
    for (const [key, value] of Object.entries(object.binaryData ?? {})) data.set(key, Buffer.from(value, "base64"));
    addData(files, data, ref, `configmap "${ref.name}"`);
  }

  #addSecret(files: Map<string, Buffer>, facts: PodFacts, ref: DataRef): void {
    const object = this.#source.secret(facts.pod.metadata.namespace ?? "default", ref.name ?? "");
    if (object === undefined) {
      if (ref.optional !== true) throw new ConfigMissing(`secret "${ref.name}" not found`);
      return;
    }
    const data = new Map<string, Buffer>();
    for (const [key, value] of Object.entries(object.data ?? {})) data.set(key, Buffer.from(value, "base64"));
    addData(files, data, ref, `secret "${ref.name}"`);
  }

  #folderOf(volume: string): string {
    return join(this.#folder, "volumes", volume);
  }
}

interface DataRef {
  readonly name?: string | undefined;
  readonly items?: readonly { readonly key: string; readonly path: string }[] | undefined;
  readonly optional?: boolean | undefined;
}

function addData(files: Map<string, Buffer>, data: ReadonlyMap<string, Buffer>, ref: DataRef, what: string): void {
  const items = ref.items ?? [...data.keys()].map((key) => ({ key, path: key }));
  for (const { key, path } of items) {
    const value = data.get(key);
    if (value !== undefined) files.set(path, value);
    else if (ref.optional !== true) throw new ConfigMissing(`${what} has no key "${key}"`);
  }
}

type DownwardItems = NonNullable<NonNullable<Volume["downwardAPI"]>["items"]>;

function addDownward(files: Map<string, Buffer>, facts: PodFacts, items: DownwardItems | undefined): void {
  for (const { path, fieldRef, resourceFieldRef } of items ?? []) {
    if (fieldRef !== undefined) files.set(path, Buffer.from(fieldValue(fieldRef.fieldPath, facts)));
    const container = facts.pod.spec.containers.find((one) => one.name === resourceFieldRef?.containerName);
    if (resourceFieldRef !== undefined && container !== undefined) {
      files.set(path, Buffer.from(resourceValue(resourceFieldRef.resource, container)));
    }
  }
}

function writeFiles(folder: string, files: ReadonlyMap<string, Buffer>): void {
  for (const [path, content] of files) {
    const target = join(folder, path);
    if (relative(folder, target).startsWith(".."))
      throw new ConfigMissing(`volume path "${path}" leads out of its volume`);
    if (sameContent(target, content)) continue;
    mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
    writeFileSync(`${target}.new`, content, { mode: 0o600 });
    renameSync(`${target}.new`, target);
  }
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile() && !files.has(relative(folder, path))) rmSync(path, { force: true });
  }
}

function sameContent(path: string, content: Buffer): boolean {
  try {
    return readFileSync(path).equals(content);
  } catch {
    // Not there yet.
    return false;
  }
}
