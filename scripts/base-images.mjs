// The base images, read from the one place where they stand: the ARG lines of the Dockerfile, `ARG NAME=registry/repository:tag[@sha256:…]`.
import { readFileSync } from "node:fs";

const line = /^ARG (NODE_\w+)=([^\s/]+)\/([^\s:@]+):([^\s@]+)(?:@(sha256:[0-9a-f]{64}))?$/gm;

/** Each base image of a Dockerfile, in the file's order; `digest` is undefined where the tag alone stands. */
export function baseImagesOf(dockerfile) {
  return [...readFileSync(dockerfile, "utf8").matchAll(line)].map(([, name, registry, repository, tag, digest]) => ({
    name,
    registry,
    repository,
    tag,
    digest,
  }));
}

/** The text of a Dockerfile with another digest for one of its base images. */
export function withDigest(text, name, digest) {
  return text.replace(line, (whole, found, registry, repository, tag) =>
    found === name ? `ARG ${name}=${registry}/${repository}:${tag}@${digest}` : whole,
  );
}
