// Whether the page's memory stays flat: node e2e/soak.mjs PROGRAM [MINUTES] [EVENTS A SECOND]
//
// One node whose jobs fire each second makes the events; three tabs show what they change. Each minute
// the heap of each tab is measured after its garbage was collected. Ends with a table.

import { chromium } from "playwright-core";

import { Nodes, PASSWORD } from "./nodes.mjs";

const [program, minutes = "60", wanted = "1000"] = process.argv.slice(2);
const VIEWS = { overview: "/ui/", jobs: "/ui/jobs", runs: "/ui/runs" };
/** Settled is what was loaded and shown a few times. */
const SETTLED = 5;

const nodes = new Nodes(program);
const heard = { events: 0 };
const stop = new AbortController();

/** Counts the events as any client gets them. */
async function listen(token) {
  const headers = { Authorization: `Bearer ${token}`, Accept: "text/event-stream" };
  const answer = await fetch(`${nodes.nodes[0].url}/events`, { headers, signal: stop.signal });
  const text = answer.body.pipeThrough(new TextDecoderStream());
  for await (const piece of text) heard.events += piece.split("\nid:").length - 1 + (piece.startsWith("id:") ? 1 : 0);
}

async function rate(seconds) {
  const [from, began] = [heard.events, performance.now()];
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  return ((heard.events - from) * 1000) / (performance.now() - began);
}

let made = 0;
async function add(count) {
  for (let at = 0; at < count; at++, made++) {
    await nodes.call(`/jobs/tick-${String(made).padStart(4, "0")}`, { method: "PUT", body: { expr: "@every 1s", retention: { count: 20 } } });
  }
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
try {
  await nodes.start(1);
  await add(1);
  // A token is good for some minutes: whoever listens asks for another.
  const listening = (async () => {
    while (!stop.signal.aborted) {
      nodes.tokens?.clear();
      await nodes.call("/auth/me");
      await listen(nodes.tokens.get("admin")).catch(() => undefined);
    }
  })();
  await add(99);
  const each = (await rate(5)) / made;
  await add(Math.max(0, Math.round(Number(wanted) / each) - made));
  console.log(`${made} jobs, ${Math.round(await rate(10))} events a second`);

  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const tabs = {};
  for (const [view, path] of Object.entries(VIEWS)) {
    const page = await context.newPage();
    await page.goto(nodes.nodes[0].url + path);
    if (view === "overview") {
      await page.getByLabel("User").fill("admin");
      await page.getByLabel("Password").fill(PASSWORD);
      await page.keyboard.press("Enter");
    }
    await page.locator("main h1, .say").first().waitFor();
    tabs[view] = { page, devtools: await context.newCDPSession(page) };
  }
  const rows = [];
  for (let minute = 0; minute <= Number(minutes); minute++) {
    const row = [minute];
    for (const { page, devtools } of Object.values(tabs)) {
      await page.bringToFront();
      await devtools.send("HeapProfiler.collectGarbage");
      const { usedSize } = await devtools.send("Runtime.getHeapUsage");
      const { nodes: elements } = await devtools.send("Memory.getDOMCounters");
      row.push((usedSize / 1e6).toFixed(1), elements);
    }
    row.push(Math.round(await rate(minute < Number(minutes) ? 60 : 1)));
    rows.push(row);
    console.log(row.join("\t"));
  }
  console.log(`\n| minute | ${Object.keys(VIEWS).map((view) => `${view}, MB | nodes`).join(" | ")} | events a second |`);
  console.log(`|---${"|---:".repeat(2 * Object.keys(VIEWS).length + 1)}|`);
  for (const row of rows.filter(([minute]) => minute === SETTLED || minute % 15 === 0 || minute === Number(minutes))) console.log(`| ${row.join(" | ")} |`);
  stop.abort();
  await listening.catch(() => undefined);
} finally {
  await browser.close();
  nodes.end();
}
