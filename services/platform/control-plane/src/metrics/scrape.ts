import { Agent, request } from "node:http";
import { whenAborted } from "@weft/foundation";
import { CallCountReader, type CallCounts } from "./call-counts.js";

/** Asks a process for its figures. Rejects when it does not answer in time, or not with what was asked for. */
export type Scrape = (
  address: { readonly host: string; readonly port: number },
  signal: AbortSignal,
) => Promise<CallCounts>;

export interface ScrapeLimits {
  /** From the first try to connect to the end of the answer. */
  readonly timeoutMs: number;
  readonly maxBytes: number;
}

/** No line that is read is longer; what is longer is passed over. */
const maxLineChars = 16_384;

/** `GET /metrics` on connections that are kept between two rounds. The answer is read as it comes and never held whole. */
export function createScrape(limits: ScrapeLimits): Scrape & Disposable {
  const agent = new Agent({ keepAlive: true, maxFreeSockets: 1 });
  const scrape: Scrape = ({ host, port }, signal) =>
    new Promise((resolve, reject) => {
      const ask = request({ host, port, path: "/metrics", headers: { accept: "text/plain" }, agent });
      const fail = (why: string): void => void ask.destroy(new Error(why));
      const timer = setTimeout(() => fail(`no whole answer within ${limits.timeoutMs} ms`), limits.timeoutMs);
      const stopping = whenAborted(signal, () => fail("stopped"));
      const reader = new CallCountReader();
      let rest = "";
      let bytes = 0;
      const settle = (end: () => void): void => {
        clearTimeout(timer);
        stopping[Symbol.dispose]();
        end();
      };
      ask.on("error", (error) => settle(() => reject(error)));
      ask.on("response", (answer) => {
        if (answer.statusCode !== 200) {
          fail(`HTTP ${answer.statusCode}`);
          return;
        }
        answer.setEncoding("utf8");
        answer.on("data", (chunk: string) => {
          bytes += chunk.length;
          if (bytes > limits.maxBytes) {
            fail(`an answer longer than ${limits.maxBytes} bytes`);
            return;
          }
          const lines = (rest + chunk).split("\n");
          rest = (lines.pop() ?? "").slice(0, maxLineChars);
          for (const line of lines) if (line.length < maxLineChars) reader.line(line);
        });
        answer.on("end", () => {
          reader.line(rest);
          settle(() => resolve(reader.counts));
        });
        answer.on("error", (error) => settle(() => reject(error)));
      });
      ask.end();
    });
  return Object.assign(scrape, { [Symbol.dispose]: () => agent.destroy() });
}
