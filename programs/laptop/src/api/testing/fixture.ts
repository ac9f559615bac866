import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Duplex, PassThrough, Readable } from "node:stream";
import type { PodAccess, PodLogRequest } from "../../pod-access.js";
import { createLaptopApi, type LaptopApi, type LaptopApiOptions } from "../laptop-api.js";

/** Pods without processes: each log is one line that says what was asked, each port an echo. */
export const echoAccess: PodAccess = {
  async logs(pod, request: PodLogRequest) {
    return Readable.from([Buffer.from(`${pod.name}/${request.container} tail=${String(request.tailLines)}\n`)]);
  },
  async connect(): Promise<Duplex> {
    return new PassThrough();
  },
};

/** An API in a folder of its own. Disposing takes the folder away unless it was given. */
export async function startApi(options: Partial<LaptopApiOptions> = {}): Promise<LaptopApi> {
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), "weft-api-"));
  const api = await createLaptopApi({ podAccess: echoAccess, ...options, directory });
  if (options.directory !== undefined) return api;
  const dispose = api[Symbol.asyncDispose];
  return {
    ...api,
    async [Symbol.asyncDispose]() {
      await dispose();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
