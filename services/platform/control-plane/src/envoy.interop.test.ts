import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "@weft/foundation/testing";
import { describe, expect, test } from "vitest";
import { startControlPlane } from "./testing/cluster.js";
import { endpointsAre, routeIs, serviceGone, serviceIs } from "./testing/objects.js";

/** Path of an Envoy; without it these tests are skipped by name. */
const envoy = process.env["WEFT_ENVOY"] ?? "";

describe.skipIf(!existsSync(envoy))("Envoy", () => {
  test("accepts every cluster, endpoint and route, and hears of changes in an order that it can follow", async () => {
    await using plane = startControlPlane();
    plane.source.apply(serviceIs("catalog"), serviceIs("canary"), endpointsAre("catalog", ["10.0.0.1"]));
    const backends = (name: string) => [
      { name: "catalog", port: 8080, weight: 9 },
      { name, port: 8080, weight: 1 },
      { name: "gone", port: 1 },
    ];
    const matches = [
      {
        method: { type: "RegularExpression", service: "a.*", method: "b|c" },
        headers: [
          { name: "x", type: "RegularExpression", value: "y+" },
          { name: "z", value: "1" },
        ],
      },
    ];
    const filters = [{ type: "RequestHeaderModifier", requestHeaderModifier: { set: [{ name: "a", value: "b" }] } }];
    plane.source.apply(routeIs("r", { rules: [{ matches, filters, backendRefs: backends("canary") }] }));
    plane.source.sync();
    using running = startEnvoy(await plane.port());
    const report = () => plane.controlPlane.describe().clients[0];
    const isCurrent = () => report()?.current === true && Object.keys(report()?.acked ?? {}).length === 3;
    await eventually(isCurrent, { ceilingMs: 30_000, what: `Envoy (${running.pid}) taking the first snapshot` });
    plane.source.apply(
      serviceIs("later"),
      routeIs("r", { rules: [{ matches, filters, backendRefs: backends("later") }] }),
      serviceGone("canary"),
      endpointsAre("catalog", ["10.0.0.2"]),
    );
    await eventually(() => plane.controlPlane.describe().version === "108", { ceilingMs: 10_000 });
    await eventually(isCurrent, { ceilingMs: 30_000, what: "Envoy taking the second snapshot" });
    expect(report()).toMatchObject({ node: "envoy.shop", rejected: [] });
  }, 120_000);
});

function startEnvoy(port: number): Disposable & { readonly pid: number | undefined } {
  const folder = mkdtempSync(join(tmpdir(), "weft-envoy-"));
  const file = join(folder, "envoy.json");
  writeFileSync(file, JSON.stringify(bootstrap(port)));
  const child = spawn(envoy, ["-c", file, "--concurrency", "1", "--disable-hot-restart", "-l", "error"], {
    stdio: "ignore",
  });
  return {
    pid: child.pid,
    [Symbol.dispose]() {
      child.kill("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** All clusters, and the routes of one Service at a listener of its own; Envoy takes no listener of a proxyless client. */
function bootstrap(port: number): object {
  const typed = (type: string, more: object = {}) => ({
    "@type": `type.googleapis.com/envoy.extensions.${type}`,
    ...more,
  });
  const ads = { ads: {}, resource_api_version: "V3" };
  const address = (port_value: number) => ({ socket_address: { address: "127.0.0.1", port_value } });
  const manager = typed("filters.network.http_connection_manager.v3.HttpConnectionManager", {
    stat_prefix: "edge",
    rds: { route_config_name: "catalog.shop:8080", config_source: ads },
    http_filters: [{ name: "envoy.filters.http.router", typed_config: typed("filters.http.router.v3.Router") }],
  });
  return {
    node: { id: "envoy.shop", cluster: "shop", metadata: { NAMESPACE: "shop" } },
    dynamic_resources: {
      ads_config: {
        api_type: "GRPC",
        transport_api_version: "V3",
        grpc_services: [{ envoy_grpc: { cluster_name: "ads" } }],
      },
      cds_config: ads,
    },
    static_resources: {
      listeners: [
        {
          name: "edge",
          address: address(0),
          filter_chains: [
            { filters: [{ name: "envoy.filters.network.http_connection_manager", typed_config: manager }] },
          ],
        },
      ],
      clusters: [
        {
          name: "ads",
          type: "STATIC",
          typed_extension_protocol_options: {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed("upstreams.http.v3.HttpProtocolOptions", {
              explicit_http_config: { http2_protocol_options: {} },
            }),
          },
          load_assignment: {
            cluster_name: "ads",
            endpoints: [{ lb_endpoints: [{ endpoint: { address: address(port) } }] }],
          },
        },
      ],
    },
  };
}
