// Pictures of the page, of `cronapi demo`: node e2e/pictures.mjs PROGRAM FOLDER [all|check]
//
// Without a word: those that README and docs/page-tour.md show. `all`: every view in both themes and
// three widths, to be looked at. `check`: each picture that the docs show can still be made, and each
// that can be made is shown; nothing is written.

import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const [program, folder, mode = "docs"] = process.argv.slice(2);
const ROOT = join(import.meta.dirname, "../..");

/** Each view: where it is, and what has to be seen there. */
const VIEWS = {
  overview: { to: () => "/", seen: ["h1.unseen", ".say", "svg.strip a.cell"] },
  jobs: { to: () => "/jobs", seen: ["svg.strip a.cell", "[role=row]"] },
  job: { to: () => "/jobs/import-prices", seen: ["svg.strip a.cell", "table.runs a[data-row]"] },
  explain: { to: (at) => `/jobs/sync-crm?at=${at.skipped}`, seen: [".panel .sentence", "svg.strip a.cell"] },
  figures: { to: () => "/jobs/charge-cards?tab=figures", seen: ["main h1"] },
  run: { to: (at) => `/runs/${at.run}`, seen: [".log", ".attempts li"] },
  workflow: { to: (at) => `/runs/${at.flow}`, seen: [".tasks .graph rect.node"] },
  grid: { to: () => "/jobs/close-tills", seen: [".task-grid rect"] },
  incidents: { to: () => "/incidents", seen: ["main h1"] },
  channels: { to: () => "/channels", seen: ["main h1"] },
  backfills: { to: () => "/jobs/rotate-logs?tab=backfills", seen: ["main h1"] },
  runs: { to: () => "/runs", seen: ["table.runs a[data-row]"] },
  search: { to: () => "/jobs/import-prices?tab=search&q=e", seen: ["form[role=search]"] },
  versions: { to: () => "/jobs/import-prices?tab=versions", seen: ["main table"] },
  timeline: { to: () => "/timeline?span=300", seen: [".timeline .lane-row, table.runs"] },
  calendar: { to: () => "/calendar", seen: [".map .cell", "main:not(:has([data-counting]))"] },
  day: { to: () => "/calendar?view=day", seen: [".map .cell", "main:not(:has([data-counting]))"] },
  graph: { to: () => "/graph", seen: ["main h1"] },
  edit: { to: () => "/jobs/reports-nightly/edit", seen: [".cm-content, [aria-label='The definition, as YAML']", "aside .sentence"] },
  cluster: { to: () => "/cluster", seen: ["main progress"] },
  queues: { to: () => "/queues", seen: ["main h1"] },
  sinks: { to: () => "/sinks", seen: ["main h1"] },
  triggers: { to: () => "/triggers", seen: ["main h1"] },
  monitors: { to: () => "/monitors", seen: ["main h1"] },
  rules: { to: () => "/rules", seen: ["main h1"] },
  windows: { to: () => "/windows", seen: ["main h1"] },
  strips: { to: () => "/strips?job=import-prices&job=sync-crm&job=charge-cards", seen: ["svg.strip a.cell"] },
  secrets: { to: () => "/secrets", seen: ["main h1"] },
  audit: { to: () => "/audit", seen: ["main h1"] },
  users: { to: () => "/users", seen: ["main h1"] },
  tokens: { to: () => "/tokens", seen: ["main h1"] },
  settings: { to: () => "/settings", seen: ["main h1"] },
  help: { to: () => "/help", seen: ["main h1"] },
};
/** What the docs show: a view, a theme, a width and a height. */
const DOCS = [
  ["overview", "light", 1280, 790],
  ["overview", "dark", 1280, 790],
  ["jobs", "light", 1280, 760],
  ["explain", "light", 1280, 620],
  ["run", "dark", 1280, 620],
  ["workflow", "light", 1280, 620],
  ["timeline", "light", 1280, 660],
  ["calendar", "dark", 1280, 480],
  ["edit", "light", 1280, 620],
  ["cluster", "dark", 1280, 560],
  ["overview", "light", 360, 740],
];
const ALL = [["light", 1440, 900], ["dark", 1440, 900], ["light", 1024, 768], ["dark", 360, 740], ["light", 360, 740]];

const name = ([view, theme, width]) => `${view}-${theme}${width < 500 ? "-phone" : ""}`;
const wanted = mode === "all" ? Object.keys(VIEWS).flatMap((view) => ALL.map((how) => [view, ...how])) : DOCS;

/** The demo, and the address that logs a browser in. */
async function demo() {
  const child = spawn(program, ["demo", "--port", "0", "--no-open"], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const told = {};
  for await (const line of createInterface({ input: child.stdout })) {
    const [, key, url] = /^ +(Page|Open) +(\S+)/.exec(line) ?? [];
    if (key) told[key] = url;
    if (line.includes("Ctrl-C ends")) break;
  }
  if (!told.Open) throw new Error("the demo did not start");
  return { ...told, end: () => (child.kill("SIGINT"), ended) };
}

/** What is shown of this demo: a run that is writing, a time that was skipped. */
async function places(page) {
  const token = await page.evaluate(async () => (await (await fetch("/auth/session", { method: "PUT", headers: { "X-CronAPI-Page": "1" } })).json()).access_token);
  const ask = async (path) => {
    const answer = await page.request.get(new URL(path, page.url()).href, { headers: { Authorization: `Bearer ${token}` } });
    if (!answer.ok()) throw new Error(`${path}: ${answer.status()}`);
    return answer.json();
  };
  const run = (await ask("/runs?job=train-recommender&limit=1")).items[0].id;
  const flow = (await ask("/runs?job=close-tills&limit=1")).items[0].id;
  const skipped = (await ask("/jobs/sync-crm/ledger?limit=60")).items.find((row) => row.reason === "overlap").nominal_time;
  return { run, flow, skipped };
}

/** Faults: what the docs show and nobody makes, what is made and not shown. */
function fits() {
  const shown = new Set();
  for (const file of ["README.md", "docs/page-tour.md"]) {
    for (const [, path] of readFileSync(join(ROOT, file), "utf8").matchAll(/pictures\/([\w-]+)\.png/g)) shown.add(path);
  }
  const made = new Set(DOCS.map(name));
  const there = new Set(readdirSync(join(ROOT, "docs/pictures")).map((file) => file.replace(/\.png$/, "")));
  return [
    ...[...shown].filter((one) => !made.has(one)).map((one) => `${one}: shown, and not made here`),
    ...[...made].filter((one) => !shown.has(one)).map((one) => `${one}: made here, and shown nowhere`),
    ...[...made].filter((one) => !there.has(one)).map((one) => `${one}: not in docs/pictures`),
    ...[...there].filter((one) => !made.has(one)).map((one) => `docs/pictures/${one}.png: nobody makes it`),
  ];
}

const faults = mode === "check" ? fits() : [];
const stage = await demo();
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
try {
  if (mode !== "check") mkdirSync(folder, { recursive: true });
  let at;
  for (const [view, theme, width, height] of wanted) {
    const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, locale: "en-GB", timezoneId: "Europe/London" });
    const page = await context.newPage();
    page.on("pageerror", (error) => faults.push(`${view}: ${error.message}`));
    // The door of the demo: logged in, with no password typed.
    await page.goto(stage.Open);
    await page.locator(".say").waitFor();
    at ??= await places(page);
    await page.goto(new URL(`/ui${VIEWS[view].to(at)}`, stage.Page).href);
    for (const one of VIEWS[view].seen) {
      await page.locator(one).first().waitFor({ state: "attached", timeout: 15_000 }).catch(() => faults.push(`${view}: no ${one}`));
    }
    await page.waitForFunction(() => !document.querySelector(".skeleton"), null, { timeout: 15_000 }).catch(() => faults.push(`${view}: still loads`));
    if (mode !== "check") await page.screenshot({ path: join(folder, `${name([view, theme, width])}${mode === "all" ? `-${width}` : ""}.png`), fullPage: mode === "all" && width < 500 });
    await context.close();
  }
} finally {
  await browser.close();
  await stage.end();
}
faults.forEach((fault) => console.log(`not ok ${fault}`));
console.log(`${wanted.length} views of the demo, ${faults.length} faults`);
process.exit(faults.length ? 1 : 0);
