import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toBinary } from "@bufbuild/protobuf";
import { ExportTraceServiceRequestSchema } from "@weft/contracts/opentelemetry/proto/collector/trace/v1";
import { eventually } from "@weft/foundation/testing";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildPage } from "../testing/build-page.js";
import { orderSpans, type SampleSpan, sampleRequest, spanIdOf } from "../testing/sample-order.js";
import { type RunningTraceStore, startTraceStore } from "../testing/start-trace-store.js";

const chromiumPath = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find(existsSync);
const order = "4bf92f3577b34da6a3ce929d0e0e4736";
const hostile = "0af7651916cd43dd8448eb211c80319c";
const markup = '<img src=x onerror="document.title=\'owned\'"><script>document.title="owned"</script>';

describe.skipIf(chromiumPath === undefined)("the trace page in Chromium (needs /usr/bin/chromium)", () => {
  let store: RunningTraceStore;
  let context: BrowserContext;
  let profile: string;
  let page: Page;
  const complaints: string[] = [];
  const foreign: string[] = [];

  async function send(traceId: string, spans: readonly SampleSpan[], agoMs = 2_000): Promise<void> {
    const request = sampleRequest(traceId, Date.now() - agoMs, spans);
    const body = new Uint8Array(toBinary(ExportTraceServiceRequestSchema, request));
    const headers = { "content-type": "application/x-protobuf" };
    expect((await fetch(`${store.otlpUrl}/v1/traces`, { method: "POST", body, headers })).status).toBe(200);
  }

  beforeAll(async () => {
    store = await startTraceStore({ page: await buildPage() });
    profile = await mkdtemp(join(tmpdir(), "weft-chromium-"));
    context = await chromium.launchPersistentContext(profile, {
      executablePath: chromiumPath ?? "",
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    });
    page = context.pages()[0] ?? (await context.newPage());
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error" && !message.text().includes("404")) complaints.push(message.text());
    });
    page.on("request", (request) => {
      if (!request.url().startsWith(store.queryUrl) && !request.url().startsWith("data:")) foreign.push(request.url());
    });
    await send(order, orderSpans);
    await send(hostile, [
      {
        id: 1,
        service: markup,
        name: markup,
        kind: "server",
        fromMs: 0,
        toMs: 5,
        error: markup,
        attributes: { [markup]: markup },
      },
    ]);
  });

  afterAll(async () => {
    await context?.close();
    await store?.[Symbol.asyncDispose]();
    await rm(profile, { recursive: true, force: true });
    // Holds for all that was done above.
    expect(complaints).toEqual([]);
    expect(foreign).toEqual([]);
  });

  test("a search leads to the waterfall, each hop with its status, peer and attempt", async () => {
    await page.goto(`${store.queryUrl}/`);
    await page.getByRole("link", { name: /PlaceOrder/ }).click();
    await page.waitForURL(`**/trace/${order}`);
    const rows = page.getByRole("treeitem");
    await eventually(async () => (await rows.count()) === orderSpans.length, { ceilingMs: 10_000 });
    const failed = page.getByRole("treeitem", { name: /UNAVAILABLE/ });
    expect(await failed.textContent()).toContain("127.3.4.9:8080");
    expect(await page.getByRole("treeitem", { name: /attempt 2/ }).textContent()).toContain("attempt 2");
  });

  test("only errors, longer than and one service narrow the search, and stand in the address", async () => {
    await page.goto(`${store.queryUrl}/?service=orders&minDuration=1ms&errors=true`);
    await page.waitForSelector(".card");
    expect(await page.locator(".card").count()).toBe(1);
    await page.goto(`${store.queryUrl}/?service=catalog&errors=true`);
    await page.getByText("Nothing found").waitFor();
    await page.getByLabel("only errors").uncheck();
    await page.waitForSelector(".card");
    expect(new URL(page.url()).searchParams.get("errors")).toBeNull();
  });

  test("everything works from the keyboard: move, fold, open and close", async () => {
    await page.goto(`${store.queryUrl}/trace/${order}`);
    await page.waitForSelector(".rows .row");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    const detail = page.getByRole("complementary");
    await detail.waitFor();
    expect(await detail.textContent()).toContain("127.3.4.12:8080");
    expect(page.url()).toContain(`#span=${spanIdOf(2)}`);
    await page.keyboard.press("Escape");
    expect(await detail.count()).toBe(0);
    await page.keyboard.press("ArrowLeft");
    expect(await page.getByRole("treeitem").count()).toBe(2);
    await page.keyboard.press("ArrowRight");
    expect(await page.getByRole("treeitem").count()).toBe(orderSpans.length);
    const focused = await page.evaluate(() => getComputedStyle(document.activeElement ?? document.body).outlineStyle);
    expect(focused).toBe("solid");
    await page.keyboard.press("/");
    await page.waitForSelector(".search select:focus");
    expect(new URL(page.url()).pathname).toBe("/");
  });

  test("in a narrow window each row still says which service it is", async () => {
    await page.setViewportSize({ width: 390, height: 800 });
    await page.goto(`${store.queryUrl}/trace/${order}`);
    await page.waitForSelector(".rows .row");
    for (const service of await page.locator(".rows .service").all()) expect(await service.isVisible()).toBe(true);
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
    await page.setViewportSize({ width: 1280, height: 720 });
  });

  test("a link to a span opens it", async () => {
    await page.goto("about:blank");
    await page.goto(`${store.queryUrl}/trace/${order}#span=${spanIdOf(8)}`);
    await page.getByRole("complementary").waitFor();
    expect(await page.getByRole("complementary").textContent()).toContain("rows locked");
  });

  test("a whole trace of a while ago is not said to arrive still", async () => {
    const past = "2af7651916cd43dd8448eb211c80319c";
    await send(past, orderSpans, 60_000);
    await page.goto(`${store.queryUrl}/trace/${past}`);
    await page.waitForSelector(".rows .row");
    expect(await page.getByText("still arriving").count()).toBe(0);
  });

  test("a trace that still arrives is shown, and grows", async () => {
    const late = "1af7651916cd43dd8448eb211c80319c";
    await page.goto(`${store.queryUrl}/trace/${late}`);
    await page.getByText("Looking for the trace").waitFor();
    await send(late, orderSpans.slice(2));
    await page.getByText("still arriving").waitFor();
    await send(late, orderSpans.slice(0, 2));
    await eventually(async () => (await page.getByRole("treeitem").count()) === orderSpans.length, {
      ceilingMs: 10_000,
    });
    await page.getByText("still arriving").waitFor({ state: "detached" });
  });

  test("markup in names, values and messages is shown as text", async () => {
    await page.goto(`${store.queryUrl}/`);
    await page.locator(".card", { hasText: "<img" }).click();
    await page.waitForSelector(".row");
    await page.locator(".row").click();
    await page.getByRole("complementary").waitFor();
    expect(await page.locator("main img, main script").count()).toBe(0);
    expect(await page.title()).not.toBe("owned");
  });

  test.each(["light", "dark"] as const)("text can be read in %s", async (colorScheme) => {
    await page.emulateMedia({ colorScheme });
    await page.goto(`${store.queryUrl}/trace/${order}`);
    await page.waitForSelector(".row");
    const [paper, ink] = await page.evaluate(() => {
      const { backgroundColor, color } = getComputedStyle(document.body);
      return [backgroundColor, color];
    });
    expect(contrast(paper ?? "", ink ?? "")).toBeGreaterThan(7);
  });
});

/** Contrast of two `rgb(…)` colours (WCAG 2.2 §1.4.3). */
function contrast(a: string, b: string): number {
  const luminance = (color: string): number => {
    const [red = 0, green = 0, blue = 0] = (color.match(/[\d.]+/g) ?? []).map((part) => {
      const share = Number(part) / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const [dark = 0, light = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light + 0.05) / (dark + 0.05);
}
