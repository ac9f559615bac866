import { parseLabelSelector } from "@weft/kube";
import type { PodFigures } from "../metrics/scraper.js";
import {
  apiGroup,
  apiGroupList,
  group,
  metrics,
  metricValueList,
  openApi,
  resourceList,
  statusDocument,
  type Version,
  versions,
} from "./documents.js";

/** Where values come from. */
export interface Figures {
  /** False while nothing can be said of any Pod: the process has only just started to ask. */
  readonly warm: boolean;
  figuresIn(namespace: string): readonly PodFigures[];
}

export interface Answer {
  readonly code: number;
  readonly body: object;
}

/** Answers a request that was let in. */
export function answer(request: { readonly method: string; readonly url: string }, figures: Figures): Answer {
  if (request.method !== "GET") return refusal(405, "MethodNotAllowed", "figures can only be read");
  const [path = "", search = ""] = request.url.split("?", 2);
  const parts = decoded(path);
  if (parts === undefined) return refusal(400, "BadRequest", "the path can't be read");
  // The API server took `a//b` for something else when it judged who may ask.
  if (parts.includes("")) return notFound(path);
  const [apis, name, version, ...rest] = parts;
  const schemas = apis === "openapi" && version === undefined ? openApi.get(name ?? "") : undefined;
  if (schemas !== undefined) return { code: 200, body: schemas };
  if (apis !== "apis" || (name !== undefined && name !== group)) return notFound(path);
  if (name === undefined) return { code: 200, body: apiGroupList };
  if (version === undefined) return { code: 200, body: apiGroup };
  const known = versions.find((each) => each === version);
  if (known === undefined) return notFound(path);
  if (rest.length === 0) return { code: 200, body: resourceList(known) };
  const [namespaces, namespace = "", resource, pod = "", metric = "", ...more] = rest;
  if (namespaces !== "namespaces" || resource !== "pods" || metric === "" || more.length > 0) {
    return notFound(path);
  }
  return values(known, { namespace, pod, metric, query: new URLSearchParams(search) }, figures);
}

/** `pods/<name>/<metric>`, or of all that a selector meets with `*` for the name. Pods that nothing is known of are left out. */
function values(
  version: Version,
  asked: {
    readonly namespace: string;
    readonly pod: string;
    readonly metric: string;
    readonly query: URLSearchParams;
  },
  figures: Figures,
): Answer {
  const { namespace, pod, metric, query } = asked;
  if (!metrics.has(metric)) return refusal(404, "NotFound", `the server could not find the metric ${metric} for pods`);
  if ((query.get("metricLabelSelector") ?? "") !== "") {
    return refusal(400, "BadRequest", `metric ${metric} has no labels to select by`);
  }
  const selector = parseLabelSelector(query.get("labelSelector") ?? "");
  if (!selector.ok) return refusal(400, "BadRequest", selector.error);
  if (!figures.warm) return refusal(503, "ServiceUnavailable", "the first figures are still being collected");
  const all = figures.figuresIn(namespace);
  if (pod === "*") {
    return {
      code: 200,
      body: metricValueList(
        version,
        metric,
        all.filter(({ labels }) => selector.value(labels)),
      ),
    };
  }
  const one = all.filter(({ name }) => name === pod);
  if (one.length === 0) {
    return refusal(404, "NotFound", `the server could not find the metric ${metric} for pods ${pod}`);
  }
  return { code: 200, body: metricValueList(version, metric, one) };
}

/** The parts of a path; `undefined` when one of them is no text. */
function decoded(path: string): readonly string[] | undefined {
  try {
    return path.split("/").slice(1).map(decodeURIComponent);
  } catch {
    // A percent sign that escapes nothing.
    return undefined;
  }
}

function notFound(path: string): Answer {
  return refusal(404, "NotFound", `the server could not find the requested resource ${path}`);
}

export function refusal(code: number, reason: string, message: string): Answer {
  return { code, body: statusDocument(code, reason, message) };
}
