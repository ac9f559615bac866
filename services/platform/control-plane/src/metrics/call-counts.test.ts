import { expect, test } from "vitest";
import { CallCountReader } from "./call-counts.js";

const read = (text: string) => {
  const reader = new CallCountReader();
  for (const line of text.split("\n")) reader.line(line);
  return reader.counts;
};

test("calls of all methods and statuses are added up, without health and reflection", () => {
  expect(
    read(`# TYPE grpc_server_call_started_total counter
grpc_server_call_started_total{grpc_method="shop.catalog.v1.CatalogService/GetProduct",otel_scope_name="@weft/mesh"} 7
grpc_server_call_started_total{grpc_method="shop.catalog.v1.CatalogService/ListProducts"} 3 1780000000000
grpc_server_call_started_total{grpc_method="grpc.health.v1.Health/Check"} 100
grpc_server_call_started_total{grpc_method="grpc.reflection.v1.ServerReflection/ServerReflectionInfo"} 1
grpc_server_call_duration_count{grpc_method="shop.catalog.v1.CatalogService/GetProduct",grpc_status="OK"} 5
grpc_server_call_duration_count{grpc_method="shop.catalog.v1.CatalogService/GetProduct",grpc_status="ABORTED"} 1
grpc_server_call_duration_count{grpc_method="grpc.health.v1.Health/Check",grpc_status="OK"} 100
grpc_server_call_duration_sum{grpc_method="a/B",grpc_status="OK"} 99
grpc_server_call_duration_bucket{grpc_method="a/B",grpc_status="OK",le="1"} 99
grpc_client_attempt_started_total{grpc_method="a/B"} 99`),
  ).toEqual({ started: 10, ended: 6 });
});

test("names with the unit in them, as other gRPC stacks export them, count too", () => {
  expect(read('grpc_server_call_duration_seconds_count{grpc_method="a/B"} 1e3')).toEqual({ started: 0, ended: 1_000 });
});

test("what is no sample is passed over", () => {
  const lines = [
    "grpc_server_call_started_total",
    "grpc_server_call_started_total}{ 1",
    "grpc_server_call_started_total{} x",
  ];
  expect(
    read([...lines, "grpc_server_call_started_total{} NaN", "grpc_server_call_started_total{} -1"].join("\n")),
  ).toEqual({
    started: 0,
    ended: 0,
  });
});
