# One file for every service: `--build-arg SERVICE=<name>`, a folder of services/*/. `npm run images` builds them all; see CONTRIBUTING.md.
#
#   manifests ── the package.json files alone, so that an edited source does not install again
#   dependencies ── npm ci: the same layer for every service
#   bundle ── one file of JavaScript (and the page of a service that has one), with nothing of the time or place it was built at
#   (last) ── Node and that
#
# The base images stand here and nowhere else. `npm run images:refresh` writes their digests after the tags (name:tag@sha256:…).
ARG NODE_BUILD=docker.io/library/node:24-bookworm-slim
ARG NODE_RUN=gcr.io/distroless/nodejs24-debian12:nonroot

# What is built is the same for every machine: it is built on the builder's own, whatever the image is for.
FROM --platform=$BUILDPLATFORM ${NODE_BUILD} AS manifests
WORKDIR /src
COPY . .
RUN mkdir /manifests \
 && find . -name package.json -exec cp --parents {} /manifests ';' \
 && cp package-lock.json .npmrc /manifests \
 && find /manifests -exec touch --no-dereference --date=@0 {} +

FROM --platform=$BUILDPLATFORM ${NODE_BUILD} AS dependencies
WORKDIR /src
COPY --from=manifests /manifests/ ./
RUN npm ci --ignore-scripts --no-progress && rm -rf /root/.npm

FROM dependencies AS bundle
COPY tsconfig.base.json ./
COPY scripts/bundle.mjs scripts/
COPY packages/ packages/
ARG SERVICE
# A service's sources alone, so that another's edit leaves this image as it was.
COPY services/*/${SERVICE}/ incoming/
RUN cp -r incoming/. services/*/"${SERVICE:?--build-arg SERVICE=<a folder of services/*/>}"/ \
 && node scripts/bundle.mjs "$SERVICE" \
 && mkdir -p /image/app \
 && cp -r services/*/"$SERVICE"/dist/. /image/app/ \
 && echo '{"type":"module"}' > /image/app/package.json \
 && find /image -exec touch --no-dereference --date=@0 {} +

FROM ${NODE_RUN}
COPY --from=bundle /image/ /
ARG SERVICE
ARG VERSION=dev
ARG REVISION=unknown
ARG SOURCE=https://github.com/weft-mesh/weft
LABEL org.opencontainers.image.title="weft ${SERVICE}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production WEFT_VERSION=${VERSION}
# As a number, so that the kubelet can tell that it is not root; with no shell and nothing to write to.
USER 65532:65532
# No shell before it: Node is process 1 and gets the signals itself.
ENTRYPOINT ["/nodejs/bin/node", "--enable-source-maps", "/app/main.js"]
