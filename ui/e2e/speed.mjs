// How fast the page is with many jobs and runs: node e2e/speed.mjs PROGRAM JOBS RUNS
//
// Starts `cronapi demo` with so many, and measures in Chromium, on loopback. Ends with a table.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const [program, jobs = "10000", runs = "100000"] = process.argv.slice(2);
const began = Date.now();
const child = spawn(program, ["demo", "--port", "0", "--no-open", "--jobs", jobs, "--runs", runs], { stdio: ["ignore", "pipe", "inherit"] });
const ended = new Promise((resolve) => child.once("exit", resolve));
const told = {};
for await (const line of createInterface({ input: child.stdout })) {
  const [, key, url] = /^ +(Page|Open) +(\S+)/.exec(line) ?? [];
  if (key) told[key] = url;
  const [, made] = /three nodes, (.*) of their past/.exec(line) ?? [];
  if (made) told.made = made;
  if (line.includes("Ctrl-C ends")) break;
}
console.log(`${told.made}, made and started in ${Math.round((Date.now() - began) / 1000)} s`);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu", "--enable-precise-memory-info"] });
const rows = [];
const page = await (await browser.newContext({ viewport: { width: 1440, height: 900 } })).newPage();
await page.addInitScript(() => {
  globalThis.long = [];
  new PerformanceObserver((list) => list.getEntries().forEach((entry) => globalThis.long.push(entry.duration))).observe({ type: "longtask", buffered: true });
});
const site = new URL(told.Page).origin;

/** Until what is looked for is there; the longest task meanwhile. */
async function measure(what, act, seen) {
  await page.evaluate(() => (globalThis.long = [])).catch(() => undefined);
  const start = performance.now();
  await act();
  await seen();
  const took = Math.round(performance.now() - start);
  const longest = await page.evaluate(() => Math.round(Math.max(0, ...globalThis.long)));
  rows.push([what, took, longest]);
  console.log(`${what}: ${took} ms, longest task ${longest} ms`);
}
const idle = () => page.waitForFunction(() => !document.querySelector(".skeleton"));
try {
  await page.goto(told.Open);
  await page.locator(".say").waitFor();
  // The second load, as somebody has it who comes back.
  await measure("overview, opened anew", () => page.goto(`${site}/ui/`, { waitUntil: "commit" }), async () => (await page.locator(".say").waitFor(), await page.locator("svg.strip a.cell").first().waitFor()));
  const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime);
  console.log(`first contentful paint: ${Math.round(paint)} ms`);
  rows.push(["first contentful paint of it", Math.round(paint), 0]);
  await measure("list of jobs, opened", () => page.getByRole("link", { name: "Jobs", exact: true }).first().click(), async () => (await page.locator("[role=row]").nth(10).waitFor(), await page.locator("svg.strip a.cell").first().waitFor()));
  await measure("list of jobs, filtered by words", () => page.locator("[data-search]").fill("berlin-00"), async () => {
    await page.waitForFunction(() => [...document.querySelectorAll("[role=row] .name")].length > 5 && [...document.querySelectorAll("[role=row] .name")].every((one) => one.textContent.includes("berlin-00")));
  });
  await page.locator("[data-search]").fill("");
  await page.waitForFunction(() => document.querySelectorAll("[role=row]").length > 10);
  await measure("list of jobs, scrolled by 10 screens", async () => {
    for (let step = 0; step < 10; step++) {
      await page.evaluate(() => document.querySelector(".scroll").scrollBy(0, 700));
      await page.waitForTimeout(50);
    }
  }, idle);
  await measure("a job, opened", () => page.goto(`${site}/ui/jobs/sync-berlin-00000`, { waitUntil: "commit" }), async () => (await page.locator("svg.strip a.cell").first().waitFor(), await page.locator("table.runs a[data-row]").first().waitFor()));
  await measure("runs of all jobs, opened", () => page.getByRole("link", { name: "Runs", exact: true }).first().click(), () => page.locator("table.runs a[data-row]").nth(10).waitFor());
  await measure("runs that failed", () => page.getByLabel("status").first().selectOption("failed"), () => page.waitForFunction(() => document.querySelectorAll("table.runs .status.bad").length > 3));
  await measure("palette, a job found", async () => (await page.keyboard.press("Escape"), await page.locator("body").click({ position: { x: 700, y: 5 } }), await page.keyboard.press("Control+K"), await page.keyboard.insertText("pack-graz")), () => page.getByRole("option", { name: /pack-graz/ }).first().waitFor());
  await page.keyboard.press("Escape");
  const week = performance.now();
  await measure("calendar of a week, opened", () => page.goto(`${site}/ui/calendar`, { waitUntil: "commit" }), async () => (await page.locator("main .say").waitFor(), await idle()));
  await page.waitForFunction(() => !document.querySelector("[data-counting]"));
  rows.push(["all of it counted, what is to come too", Math.round(performance.now() - week), 0]);
  await measure("timeline, opened", () => page.goto(`${site}/ui/timeline`, { waitUntil: "commit" }), async () => (await page.locator("main h1").waitFor(), await idle()));
  const memory = await page.evaluate(() => Math.round(performance.memory.usedJSHeapSize / 1e6));
  console.log(`heap of the page at the end: ${memory} MB`);
} finally {
  await browser.close();
  child.kill("SIGINT");
  await ended;
}
console.log("\n| what | ms | longest task, ms |\n|---|---|---|");
for (const row of rows) console.log(`| ${row.join(" | ")} |`);
