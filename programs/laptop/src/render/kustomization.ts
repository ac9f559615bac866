import { FieldReader, type Sited } from "./field-reader.js";
import type { Node, Origin, Problems } from "./node.js";

/** Which resources a patch is for: each given part is a regular expression that must match the whole, or a label selector. */
export interface Target {
  readonly group?: string;
  readonly version?: string;
  readonly kind?: string;
  readonly name?: string;
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly annotationSelector?: string;
}

export interface PatchEntry {
  readonly origin: Origin;
  readonly source: { readonly t: "file"; readonly path: string } | { readonly t: "inline"; readonly text: string };
  readonly target: Target | undefined;
}

export interface LabelEntry {
  readonly pairs: ReadonlyMap<string, Sited<string>>;
  readonly includeSelectors: boolean;
  readonly includeTemplates: boolean;
}

export interface ImageEntry {
  readonly origin: Origin;
  readonly name: string;
  readonly newName: string | undefined;
  readonly newTag: string | undefined;
  readonly digest: string | undefined;
}

export interface ReplicaEntry {
  readonly origin: Origin;
  readonly name: string;
  readonly count: number;
}

export interface GeneratorOptions {
  readonly disableNameSuffixHash: boolean | undefined;
  readonly immutable: boolean | undefined;
  readonly labels: ReadonlyMap<string, Sited<string>>;
  readonly annotations: ReadonlyMap<string, Sited<string>>;
}

export interface GeneratorEntry {
  readonly origin: Origin;
  readonly kind: "ConfigMap" | "Secret";
  readonly name: string;
  readonly namespace: string | undefined;
  readonly behavior: "create" | "merge" | "replace";
  readonly type: string;
  readonly literals: readonly Sited<string>[];
  readonly files: readonly Sited<string>[];
  readonly envs: readonly Sited<string>[];
  readonly options: GeneratorOptions;
}

/** What a kustomization.yaml asks for. */
export interface Kustomization {
  readonly kind: "Kustomization" | "Component";
  readonly resources: readonly Sited<string>[];
  readonly components: readonly Sited<string>[];
  readonly generators: readonly GeneratorEntry[];
  readonly patches: readonly PatchEntry[];
  readonly namespace: Sited<string> | undefined;
  readonly labels: readonly LabelEntry[];
  readonly commonAnnotations: ReadonlyMap<string, Sited<string>>;
  readonly replicas: readonly ReplicaEntry[];
  readonly images: readonly ImageEntry[];
}

const noOptions: GeneratorOptions = {
  disableNameSuffixHash: undefined,
  immutable: undefined,
  labels: new Map(),
  annotations: new Map(),
};

/** Reads a kustomization. A field that the renderer does not know is a problem, never passed over. */
export function parseKustomization(root: Node, problems: Problems): Kustomization {
  const at = new FieldReader(problems);
  const optionsNode = root.kind === "map" ? root.entries.get("generatorOptions") : undefined;
  const shared = optionsNode === undefined ? noOptions : parseOptions(at, optionsNode);
  const configMaps: GeneratorEntry[] = [];
  const secrets: GeneratorEntry[] = [];
  const result: { -readonly [K in keyof Omit<Kustomization, "generators">]: Kustomization[K] } = {
    kind: "Kustomization",
    resources: [],
    components: [],
    patches: [],
    namespace: undefined,
    labels: [],
    commonAnnotations: new Map(),
    replicas: [],
    images: [],
  };
  at.fields(root, "the kustomization", {
    apiVersion: (node) => {
      at.choice(node, ["kustomize.config.k8s.io/v1beta1", "kustomize.config.k8s.io/v1alpha1"]);
    },
    kind: (node) => {
      result.kind = at.choice(node, ["Kustomization", "Component"]) ?? "Kustomization";
    },
    metadata: () => {},
    generatorOptions: () => {},
    resources: (node) => {
      result.resources = at.texts(node);
    },
    components: (node) => {
      result.components = at.texts(node);
    },
    configMapGenerator: (node) => {
      configMaps.push(...at.each(node, (entry) => parseGenerator(at, entry, "ConfigMap", shared)));
    },
    secretGenerator: (node) => {
      secrets.push(...at.each(node, (entry) => parseGenerator(at, entry, "Secret", shared)));
    },
    patches: (node) => {
      result.patches = at.each(node, (entry) => parsePatch(at, entry));
    },
    namespace: (node) => {
      const value = at.text(node);
      if (value !== undefined) result.namespace = { value, origin: node.origin };
    },
    labels: (node) => {
      result.labels = at.each(node, (entry) => parseLabels(at, entry));
    },
    commonAnnotations: (node) => {
      result.commonAnnotations = at.pairs(node);
    },
    replicas: (node) => {
      result.replicas = at.each(node, (entry) => parseReplicas(at, entry));
    },
    images: (node) => {
      result.images = at.each(node, (entry) => parseImage(at, entry));
    },
  });
  return { ...result, generators: [...configMaps, ...secrets] };
}

function parsePatch(at: FieldReader, entry: Node): PatchEntry | undefined {
  let path: string | undefined;
  let text: string | undefined;
  let target: Target | undefined;
  at.fields(entry, "a patch", {
    path: (node) => {
      path = at.text(node);
    },
    patch: (node) => {
      text = at.text(node);
    },
    target: (node) => {
      target = parseTarget(at, node);
    },
  });
  if ((path === undefined) === (text === undefined)) {
    at.problems.report(entry.origin, "a patch has either a path or a patch");
    return undefined;
  }
  const source = path === undefined ? { t: "inline" as const, text: text ?? "" } : { t: "file" as const, path };
  return { origin: entry.origin, source, target };
}

function parseTarget(at: FieldReader, entry: Node): Target {
  const target: { -readonly [K in keyof Target]: Target[K] } = {};
  const set = (field: keyof Target) => (node: Node) => {
    const value = at.text(node);
    if (value !== undefined) target[field] = value;
  };
  at.fields(entry, "a target", {
    group: set("group"),
    version: set("version"),
    kind: set("kind"),
    name: set("name"),
    namespace: set("namespace"),
    labelSelector: set("labelSelector"),
    annotationSelector: set("annotationSelector"),
  });
  return target;
}

function parseLabels(at: FieldReader, entry: Node): LabelEntry {
  let pairs: ReadonlyMap<string, Sited<string>> = new Map();
  let includeSelectors = false;
  let includeTemplates = false;
  at.fields(entry, "labels", {
    pairs: (node) => {
      pairs = at.pairs(node);
    },
    includeSelectors: (node) => {
      includeSelectors = at.flag(node) ?? false;
    },
    includeTemplates: (node) => {
      includeTemplates = at.flag(node) ?? false;
    },
  });
  return { pairs, includeSelectors, includeTemplates };
}

function parseImage(at: FieldReader, entry: Node): ImageEntry | undefined {
  const found = at.textFields(entry, "an image", ["name", "newName", "newTag", "digest"]);
  if (found.name === undefined) {
    at.problems.report(entry.origin, "an image needs a name");
    return undefined;
  }
  return {
    origin: entry.origin,
    name: found.name,
    newName: found.newName,
    newTag: found.newTag,
    digest: found.digest,
  };
}

function parseReplicas(at: FieldReader, entry: Node): ReplicaEntry | undefined {
  let name: string | undefined;
  let count: number | undefined;
  at.fields(entry, "replicas", {
    name: (node) => {
      name = at.text(node);
    },
    count: (node) => {
      count = node.kind === "scalar" && typeof node.value === "number" && node.value >= 0 ? node.value : undefined;
    },
  });
  if (name !== undefined && count !== undefined) return { origin: entry.origin, name, count };
  at.problems.report(entry.origin, "replicas need a name and a count");
  return undefined;
}

function parseGenerator(
  at: FieldReader,
  entry: Node,
  kind: "ConfigMap" | "Secret",
  shared: GeneratorOptions,
): GeneratorEntry | undefined {
  const found = {
    name: undefined as string | undefined,
    namespace: undefined as string | undefined,
    behavior: "create" as "create" | "merge" | "replace",
    type: "Opaque",
    literals: [] as readonly Sited<string>[],
    files: [] as readonly Sited<string>[],
    envs: [] as readonly Sited<string>[],
    options: noOptions,
  };
  const envs: Sited<string>[] = [];
  at.fields(entry, "a generator", {
    name: (node) => {
      found.name = at.text(node);
    },
    namespace: (node) => {
      found.namespace = at.text(node);
    },
    behavior: (node) => {
      found.behavior = at.choice(node, ["create", "merge", "replace"]) ?? "create";
    },
    ...(kind === "Secret" && {
      type: (node: Node) => {
        found.type = at.text(node) ?? "Opaque";
      },
    }),
    literals: (node) => {
      found.literals = at.texts(node);
    },
    files: (node) => {
      found.files = at.texts(node);
    },
    envs: (node) => {
      envs.push(...at.texts(node));
    },
    env: (node) => {
      const value = at.text(node);
      if (value !== undefined) envs.push({ value, origin: node.origin });
    },
    options: (node) => {
      found.options = parseOptions(at, node);
    },
  });
  if (found.name === undefined) {
    at.problems.report(entry.origin, "a generator needs a name");
    return undefined;
  }
  const { options } = found;
  return {
    ...found,
    name: found.name,
    envs,
    origin: entry.origin,
    kind,
    options: {
      disableNameSuffixHash: options.disableNameSuffixHash ?? shared.disableNameSuffixHash,
      immutable: options.immutable ?? shared.immutable,
      labels: new Map([...shared.labels, ...options.labels]),
      annotations: new Map([...shared.annotations, ...options.annotations]),
    },
  };
}

function parseOptions(at: FieldReader, entry: Node): GeneratorOptions {
  const options: { -readonly [K in keyof GeneratorOptions]: GeneratorOptions[K] } = { ...noOptions };
  at.fields(entry, "generator options", {
    disableNameSuffixHash: (node) => {
      options.disableNameSuffixHash = at.flag(node);
    },
    immutable: (node) => {
      options.immutable = at.flag(node);
    },
    labels: (node) => {
      options.labels = at.pairs(node);
    },
    annotations: (node) => {
      options.annotations = at.pairs(node);
    },
  });
  return options;
}
