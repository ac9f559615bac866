import { type RunningService, startService } from "@weft/chassis/testing";
import type { Clock } from "@weft/foundation";
import { config } from "../config.js";
import { createPage, type Page } from "../page/load-page.js";
import { type BoundPorts, wire } from "../wire.js";

export interface RunningTraceStore extends AsyncDisposable {
  readonly service: RunningService;
  readonly otlpUrl: string;
  readonly queryUrl: string;
}

/** The whole service in this process, on free ports. */
export async function startTraceStore(
  options: { readonly page?: Page; readonly env?: Readonly<Record<string, string>>; readonly clock?: Clock } = {},
): Promise<RunningTraceStore> {
  const page = options.page ?? createPage({ html: "<!-- style --><!-- script -->", style: "a{}", script: "1" });
  let ports: BoundPorts = { otlp: 0, query: 0 };
  const service = await startService({
    config,
    env: { WEFT_OTLP_PORT: "0", WEFT_QUERY_PORT: "0", ...options.env },
    wire: async (chassis) => {
      ports = await wire(chassis, page);
    },
    ...(options.clock === undefined ? {} : { clock: options.clock }),
  });
  return {
    service,
    otlpUrl: `http://127.0.0.1:${ports.otlp}`,
    queryUrl: `http://127.0.0.1:${ports.query}`,
    [Symbol.asyncDispose]: () => service[Symbol.asyncDispose](),
  };
}
