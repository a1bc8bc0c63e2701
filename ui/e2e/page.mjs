// The page in a real browser, against three real nodes: node e2e/page.mjs PROGRAM
//
// Ends with a line of counts. CHROMIUM names the browser; ONLY names some of the tests.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

import { Nodes, PASSWORD, until } from "./nodes.mjs";

const program = process.argv[2] ?? "../target/debug/cronapi";
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const nodes = new Nodes(program);
const faults = [];
let browser;

async function context(options = {}) {
  const made = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: "en-GB", timezoneId: "Europe/London", ...options });
  made.setDefaultTimeout(15_000);
  return made;
}

/** A page that is logged in; what it complains of is gathered. */
async function enter({ user = "admin", password = PASSWORD, at = 0, ...options } = {}) {
  const made = await context(options);
  const page = await made.newPage();
  page.on("pageerror", (error) => faults.push(`${page.url()}: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) faults.push(`${page.url()}: ${message.text()}`);
  });
  await page.goto(`${nodes.nodes[at].url}/ui/`);
  await page.getByLabel("User").fill(user);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("navigation", { name: "Pages" }).waitFor();
  return page;
}

function equal(found, wanted, what) {
  if (found !== wanted) throw new Error(`${what}: ${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}`);
}

/** A definition is typed into the editor, as a person would. */
async function write(page, text) {
  const editor = page.getByLabel("The definition, as YAML");
  await editor.click();
  await page.keyboard.press("Control+A");
  await page.keyboard.press("Delete");
  await page.keyboard.insertText(text);
}

const tests = {
  async "a wrong password is said, and the right one opens the page"() {
    const page = await (await context()).newPage();
    await page.goto(`${nodes.nodes[0].url}/`);
    await page.waitForURL("**/ui/");
    await page.getByLabel("User").fill("admin");
    await page.getByLabel("Password").fill("wrong");
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("alert").getByText("user name or password is wrong").waitFor();
    await page.getByLabel("Password").fill(PASSWORD);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByText("There are no jobs yet").waitFor();
    // The cookie brings the session back; nothing that scripts can read holds it.
    await page.reload();
    await page.getByText("There are no jobs yet").waitFor();
    const readable = await page.evaluate(() => document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage));
    equal(/eyJ|cronapi_session/.test(readable), false, `a token among what scripts can read (${readable})`);
    await page.getByRole("button", { name: "log out" }).click();
    await page.getByLabel("User").waitFor();
    await page.reload();
    await page.getByLabel("User").waitFor();
  },

  async "a job is written, fires, and its output comes as it is made"() {
    const page = await enter();
    await page.keyboard.press("n");
    await page.getByRole("heading", { name: "Write a job" }).waitFor();
    await write(page, "name: tick\nexpr: '61 * * * * *'\n");
    await page.getByRole("alert").getByText("61 is outside 0-59").waitFor();
    await write(page, "name: tick\nexpr: '* * * * * *'\nrunner:\n  type: shell\n  command: for i in 1 2 3; do echo \"line $i <b>\"; sleep 0.2; done\noverlap: skip\n");
    await page.getByText("Every second, UTC").waitFor();
    await page.getByText("the time is recorded as skipped").waitFor();
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("heading", { name: "tick" }).waitFor();
    // The strip grows by itself: nothing is loaded anew.
    await page.locator("a.cell").nth(3).waitFor();
    await page.locator("table.runs a[data-row]").first().click();
    await page.getByRole("log").getByText("line 3 <b>").waitFor();
    equal(await page.locator(".log b").count(), 0, "elements made by output");
  },

  async "a skipped time is explained"() {
    await nodes.call("/jobs", { method: "POST", body: { name: "slow", expr: "* * * * * *", overlap: "skip", runner: { type: "shell", command: "sleep 30" } } });
    const skipped = await until("a time is skipped", async () => (await nodes.call("/jobs/slow/ledger")).items.find((row) => row.outcome === "skipped"));
    const page = await enter();
    await page.goto(`${nodes.nodes[0].url}/ui/jobs/slow`);
    await page.locator('a.cell[aria-label*="skipped: overlap"]').first().click();
    await page.getByText("an earlier run was still open").waitFor();
    equal(new URL(page.url()).searchParams.has("at"), true, "the address names the cell");
    // The address says all of it, on any node: one login counts for all of one host.
    await page.goto(`${nodes.nodes[1].url}/ui/jobs/slow?at=${skipped.nominal_time}`);
    await page.getByText("an earlier run was still open").waitFor();
  },

  async "pause, resume, cancel and run again"() {
    const page = await enter();
    await page.goto(`${nodes.nodes[0].url}/ui/jobs/slow`);
    await page.getByRole("button", { name: "Pause" }).first().click();
    await page.getByLabel("Reason, for the audit").fill("a test");
    await page.getByRole("dialog").getByRole("button", { name: "Pause" }).click();
    await page.locator(".pill", { hasText: "paused" }).waitFor();
    equal((await nodes.call("/jobs/slow")).enabled, false, "enabled");
    await page.locator("table.runs a[data-row]").first().click();
    await page.getByRole("button", { name: "Cancel" }).first().click();
    await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).last().click();
    await page.locator("h1 .status", { hasText: "cancelled" }).waitFor();
    await page.getByRole("button", { name: "Run again" }).first().click();
    await page.getByRole("dialog").getByRole("button", { name: "Run again" }).click();
    await until("a second run by hand", async () => (await nodes.call("/runs?job=slow&trigger=manual")).items.length === 1);
    await page.goto(`${nodes.nodes[0].url}/ui/jobs/slow`);
    await page.getByRole("button", { name: "Resume" }).first().click();
    await page.getByRole("dialog").getByRole("button", { name: "Resume" }).click();
    await until("it is resumed", async () => (await nodes.call("/jobs/slow")).enabled);
  },

  async "parameters are asked for as the schema says"() {
    const schema = { type: "object", properties: { day: { type: "string", title: "Day" }, size: { type: "integer" } }, required: ["day"] };
    await nodes.call("/jobs", { method: "POST", body: { name: "asked", code: "def f(day, size=1):\n    return {'day': day, 'size': size}", parameters: { day: "monday" }, parameters_schema: schema } });
    const page = await enter();
    await page.goto(`${nodes.nodes[0].url}/ui/jobs/asked`);
    await page.getByRole("button", { name: "Run now" }).first().click();
    await page.getByLabel("Day").fill("friday");
    await page.getByLabel("size").fill("many");
    await page.getByRole("dialog").getByRole("button", { name: "Run now" }).click();
    await page.getByRole("alert").waitFor();
    await page.getByLabel("size").fill("7");
    await page.getByRole("dialog").getByRole("button", { name: "Run now" }).click();
    await page.locator("h1 .status", { hasText: "succeeded" }).waitFor();
    await page.locator("pre", { hasText: '"size": 7' }).last().waitFor();
  },

  async "who saved first is not overwritten"() {
    const page = await enter();
    await page.goto(`${nodes.nodes[0].url}/ui/jobs/asked/edit`);
    await page.getByText("name: asked").waitFor();
    await nodes.call("/jobs/asked", { method: "PATCH", body: { description: "written by another" } }).catch(async () => {
      throw new Error("the other write failed");
    });
    await page.getByLabel("The definition, as YAML").click();
    await page.keyboard.press("Control+End");
    await page.keyboard.insertText("timeout: 3m\n");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("Somebody saved version").waitFor();
    await page.locator("pre", { hasText: "written by another" }).waitFor();
    equal((await nodes.call("/jobs/asked")).timeout, undefined, "the time-out of the refused save");
  },

  async "what a role may not do is not offered"() {
    await nodes.call("/users", { method: "POST", body: { name: "vera", password: "only-looking-around", role: "viewer", scope: { jobs: ["t*"], tags: [] } } });
    const page = await enter({ user: "vera", password: "only-looking-around" });
    await page.goto(`${nodes.nodes[0].url}/ui/jobs`);
    await page.getByRole("link", { name: "tick" }).waitFor();
    equal(await page.getByRole("link", { name: "slow" }).count(), 0, "a job outside the scope");
    equal(await page.getByRole("link", { name: "Write a job" }).count(), 0, "the button of an operator");
    await page.goto(`${nodes.nodes[0].url}/ui/jobs/tick`);
    await page.getByRole("heading", { name: "tick" }).waitFor();
    equal(await page.getByRole("button", { name: "Pause" }).count(), 0, "the button of an operator");
    equal(await page.getByRole("link", { name: "Users" }).count(), 0, "the page of an admin");
    // A session that is ended elsewhere ends here.
    await nodes.call("/users/vera/revoke", { method: "POST" });
    await page.getByLabel("User").waitFor();
  },

  async "without a mouse"() {
    const page = await enter();
    await page.keyboard.press("Control+K");
    await page.getByRole("combobox").waitFor();
    await page.keyboard.insertText("asked");
    await page.getByRole("option", { name: "asked" }).waitFor();
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "asked" }).waitFor();
    await page.keyboard.press("g");
    await page.keyboard.press("j");
    await page.getByRole("heading", { name: "Jobs" }).waitFor();
    await page.getByRole("link", { name: "asked" }).waitFor();
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "asked" }).waitFor();
    await page.keyboard.press("?");
    await page.getByRole("heading", { name: "Help" }).waitFor();
  },

  async "nothing is wider than a phone, and nothing is told by colour alone"() {
    const places = ["/", "/jobs", "/jobs/tick", "/runs", "/new", "/cluster", "/queues", "/secrets", "/audit", "/users", "/tokens", "/settings", "/help"];
    for (const colorScheme of ["light", "dark"]) {
      const page = await enter({ colorScheme, viewport: { width: 360, height: 740 } });
      for (const place of places) {
        await page.goto(`${nodes.nodes[0].url}/ui${place}`);
        await page.locator("main h1").first().waitFor({ state: "attached" });
        await page.waitForFunction(() => !document.querySelector(".skeleton"));
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        if (wide > 0) throw new Error(`${place} is ${wide} px wider than 360`);
        await page.evaluate(axe);
        const found = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] }));
        const told = found.violations.map((v) => `${v.id}: ${v.nodes.slice(0, 2).map((n) => n.target.join(" ") + " " + (n.any[0]?.message ?? "")).join("; ")}`);
        if (told.length) throw new Error(`${place}, ${colorScheme}: ${told.join("\n    ")}`);
      }
      await page.context().close();
    }
  },

  async "a leader that is killed is not missed, and a node that comes back is taken up"() {
    const leader = await nodes.leader();
    const at = (leader + 1) % 3;
    const page = await enter({ at });
    await page.goto(`${nodes.nodes[at].url}/ui/jobs/tick`);
    await page.locator("a.cell").nth(3).waitFor();
    const before = await page.locator("a.cell").last().getAttribute("aria-label");
    nodes.kill(leader);
    await until("the strip goes on", async () => (await page.locator("a.cell").last().getAttribute("aria-label")) !== before, 20_000);
    equal(await page.getByRole("heading", { name: "tick" }).count(), 1, "what was known stays");
    // Now the page's own node dies: what was known stays, and is said to be old.
    nodes.up(leader);
    await nodes.ready(leader);
    nodes.kill(at);
    await page.getByRole("status").getByText("reconnecting").waitFor();
    equal(await page.locator("a.cell").count() > 3, true, "cells while its node is away");
    nodes.up(at);
    await page.getByRole("status").getByText("live").waitFor({ timeout: 40_000 });
    // No nominal time of the whole is without its cell.
    const cells = await until("the ledger is whole", async () => {
      const rows = (await nodes.call("/jobs/tick/ledger?limit=30", { at })).items;
      return rows.length === 30 ? rows : undefined;
    });
    const times = cells.flatMap((row) => (row.until ? [] : [Date.parse(row.nominal_time)]));
    equal(new Set(times).size, times.length, "outcomes of one time");
  },

  async "the first load is small, and nothing comes from elsewhere"() {
    const page = await (await context()).newPage();
    const elsewhere = [];
    const sizes = [];
    page.on("requestfinished", (request) => {
      const url = new URL(request.url());
      if (url.origin !== nodes.nodes[0].url) elsewhere.push(request.url());
      else if (url.pathname.startsWith("/ui/")) sizes.push(request.sizes().then((size) => size.responseBodySize));
    });
    await page.goto(`${nodes.nodes[0].url}/ui/`, { waitUntil: "networkidle" });
    await page.getByLabel("User").waitFor();
    const bytes = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
    equal(elsewhere.length, 0, `requests to elsewhere (${elsewhere})`);
    if (bytes < 20_000 || bytes > 250_000) throw new Error(`the first load has ${bytes} bytes`);
    console.log(`  the first load has ${bytes} bytes, compressed`);
    const policy = (await page.request.get(`${nodes.nodes[0].url}/ui/`)).headers()["content-security-policy"];
    if (!policy.includes("script-src 'self';") || policy.includes("unsafe")) throw new Error(policy);
    equal((await page.request.get(`${nodes.nodes[0].url}/ui/assets/old-1234.js`)).status(), 404, "a file that is gone");
    equal((await page.request.get(`${nodes.nodes[0].url}/ui/jobs/some`)).status(), 200, "an address of the page");
  },
};

let passed = 0;
let failed = 0;
try {
  await nodes.start(3);
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  for (const [name, test] of Object.entries(tests)) {
    if (process.env.ONLY && !name.includes(process.env.ONLY)) continue;
    const began = Date.now();
    try {
      await test();
      if (faults.length) throw new Error(`the page complains: ${faults.splice(0).join("\n    ")}`);
      passed++;
      console.log(`ok ${name} (${Date.now() - began} ms)`);
    } catch (error) {
      failed++;
      faults.length = 0;
      console.log(`not ok ${name}\n    ${error.message}`);
    }
    for (const left of browser.contexts()) await left.close();
  }
} catch (error) {
  failed++;
  console.log(`not ok the nodes and the browser start\n    ${error.stack}`);
} finally {
  await browser?.close();
  nodes.end();
}
console.log(`\n${passed} passed, ${failed} failed, 0 skipped`);
process.exit(failed ? 1 : 0);
