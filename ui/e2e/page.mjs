// The page in a real browser, against three real nodes: node e2e/page.mjs PROGRAM
//
// Ends with a line of counts. CHROMIUM names the browser; ONLY names some of the tests.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

import { flow } from "./flow.mjs";
import { more } from "./more.mjs";
import { Nodes, PASSWORD, Skipped, until } from "./nodes.mjs";

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
async function enter({ user = "admin", password = PASSWORD, at = 0, of = nodes, ...options } = {}) {
  const made = await context(options);
  const page = await made.newPage();
  page.on("pageerror", (error) => faults.push(`${page.url()}: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) faults.push(`${page.url()}: ${message.text()}`);
  });
  await page.goto(`${of.nodes[at].url}/ui/`);
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
    await write(page, "name: tick\nexpr: '@hourly'\ncode: 'pass'\nlock:\n  key: one\n  on_busy: skip\n");
    await page.getByText("it holds the lock one, here and in other clusters; while another has it, its run is recorded as skipped").waitFor();
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
    // What only one changed is taken over; a field that both changed has to be chosen.
    await page.getByRole("button", { name: "Go on with these" }).click();
    await page.getByText("written by another").first().waitFor();
    await nodes.call("/jobs/asked", { method: "PATCH", body: { timeout: "9m" } });
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("choose for 1 field that both changed").waitFor();
    equal(await page.getByRole("button", { name: "Go on with these" }).isDisabled(), true, "to go on is not offered");
    await page.getByRole("radio", { name: "timeout: take yours" }).check();
    await page.getByRole("button", { name: "Go on with these" }).click();
    await page.getByRole("button", { name: "Save" }).click();
    // The editor has the job's name for its heading, too.
    const saved = await until("the time-out that was chosen", async () => {
      const job = await nodes.call("/jobs/asked");
      return job.timeout === "3m" && job;
    });
    equal(saved.description, "written by another", "what the other one wrote");
  },

  async "an earlier version is made the present one again, and saving says what moves"() {
    const page = await enter();
    await page.goto(`${nodes.nodes[0].url}/ui/jobs/asked?tab=versions`);
    const before = await nodes.call("/jobs/asked");
    await page.getByRole("row", { name: /^1 / }).getByRole("button", { name: "what changed" }).or(page.getByRole("row", { name: /^1 / }).getByRole("button", { name: "show" })).click();
    await page.getByRole("region", { name: "Version 1" }).waitFor();
    await page.getByRole("row", { name: /^1 / }).getByRole("button", { name: "Restore" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText("2 fields").waitFor();
    await dialog.locator("del", { hasText: "written by another" }).waitFor();
    await dialog.getByRole("button", { name: "Restore" }).click();
    await until("version 1 is back", async () => (await nodes.call("/jobs/asked")).description === undefined);
    equal((await nodes.call("/jobs/asked")).version, before.version + 1, "a version of its own");
    await page.goto(`${nodes.nodes[0].url}/ui/jobs/tick/edit`);
    await page.getByText("name: tick").waitFor();
    await page.getByLabel("The definition, as YAML").click();
    await page.keyboard.press("Control+End");
    await page.keyboard.insertText("description: moved\n");
    await page.getByRole("heading", { name: "What saving changes" }).waitFor();
  },

  async "many jobs are paused, run and deleted at once, after a word of how many"() {
    const items = [1, 2, 3, 4].map((n) => ({ name: `many-${n}`, expr: "@daily", tags: ["many"] }));
    await nodes.call("/apply", { method: "POST", body: { items } });
    const page = await enter();
    await page.goto(`${nodes.nodes[0].url}/ui/jobs?tag=many`);
    await page.getByRole("checkbox", { name: "Choose many-1" }).click();
    await page.getByRole("checkbox", { name: "Choose many-3" }).click({ modifiers: ["Shift"] });
    await page.getByText("3 jobs chosen").waitFor();
    await page.getByRole("button", { name: "Pause" }).first().click();
    await page.getByRole("button", { name: "Pause 3 jobs" }).click();
    await until("three are paused", async () => (await nodes.call("/jobs?tag=many&enabled=false")).items.length === 3);
    await page.getByText("choose all").waitFor();
    await page.getByRole("checkbox", { name: "Choose all 4 that are listed" }).check();
    await page.getByRole("button", { name: "Resume" }).first().click();
    await page.getByRole("button", { name: "Resume 3 jobs" }).click();
    await until("all are enabled", async () => (await nodes.call("/jobs?tag=many&enabled=true")).items.length === 4);
    await page.getByText("choose all").waitFor();
    await page.getByRole("checkbox", { name: "Choose all 4 that are listed" }).check();
    await page.getByRole("button", { name: "Delete" }).first().click();
    const act = page.getByRole("button", { name: "Delete 4 jobs" });
    equal(await act.isDisabled(), true, "to delete is not offered before the number is typed");
    await page.getByLabel("Type how many").fill("4");
    // The view is kept under a name before it is empty.
    await act.click();
    await until("they are gone", async () => (await nodes.call("/jobs?tag=many")).items.length === 0);
    await page.getByText("No job fits").waitFor();
    await page.getByRole("button", { name: "save this view" }).click();
    await page.getByRole("dialog").getByLabel("Name").fill("the many");
    await page.getByRole("dialog").getByRole("button", { name: "Save" }).click();
    await page.goto(`${nodes.nodes[0].url}/ui/jobs`);
    await page.getByRole("combobox", { name: "view" }).selectOption("the many");
    await page.waitForURL("**/jobs?tag=many");
  },

  async "output of all runs is searched, and a hit leads to its line"() {
    await nodes.call("/jobs", { method: "POST", body: { name: "loud", runner: { type: "shell", command: "for i in 1 2 3; do echo line $i; done; echo 'Disk FULL on /var' >&2; echo done" } } });
    for (let n = 0; n < 2; n++) await nodes.call("/jobs/loud/run?wait=10s", { method: "POST", body: {} });
    const page = await enter();
    await page.goto(`${nodes.nodes[0].url}/ui/jobs/loud?tab=search`);
    await page.getByLabel("A text within a line of output").fill("disk full");
    await page.keyboard.press("Enter");
    await page.getByText("2 lines in the output of 2 runs").waitFor();
    equal(await page.locator("mark").first().textContent(), "Disk FULL", "what is marked");
    await page.locator(".hits a[data-row]").first().click();
    await page.locator(".log .at-line", { hasText: "Disk FULL on /var" }).waitFor();
    equal(/line=1-\d+/.test(page.url()), true, `the address names the line (${page.url()})`);
  },

  async "a tab has one stream, also while it follows a run"() {
    await nodes.call("/jobs", { method: "POST", body: { name: "talks", runner: { type: "shell", command: "for i in $(seq 1 200); do echo \"word $i\"; sleep 0.1; done" } } });
    const run = await nodes.call("/jobs/talks/run", { method: "POST", body: {} });
    const page = await enter();
    const open = new Set();
    page.on("request", (request) => /\/events|follow=true/.test(request.url()) && open.add(request));
    for (const event of ["requestfinished", "requestfailed"]) page.on(event, (request) => open.delete(request));
    await page.goto(`${nodes.nodes[0].url}/ui/runs/${run.id}`);
    await page.getByRole("log").getByText(/word \d+/).nth(4).waitFor();
    equal([...open].map((request) => new URL(request.url()).pathname).join(), "/events", "the streams that are open");
    // Both come in it: the end of the run is seen as soon as it is there.
    await page.getByRole("button", { name: "Cancel" }).first().click();
    await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).last().click();
    await page.locator("h1 .status", { hasText: "cancelled" }).waitFor();
    const lines = await page.locator(".log .stdout").allTextContents();
    const numbers = lines.map((line) => Number(/word (\d+)/.exec(line)?.[1])).filter(Boolean);
    equal(numbers.every((n, at) => n === at + 1), true, `every line once and in order (${numbers.slice(0, 9)})`);
  },

  async "the timeline shows what runs, and is walked by keys"() {
    const page = await enter();
    await page.goto(`${nodes.nodes[0].url}/ui/timeline?span=60`);
    await page.getByRole("link", { name: /^tick: \d+ runs/ }).waitFor();
    await page.locator(".now-line").waitFor();
    // A running bar grows by itself.
    await nodes.call("/jobs/slow/run?force=true", { method: "POST", body: {} }).catch(() => undefined);
    const bar = page.locator(".timeline rect.bar.run").first();
    await bar.waitFor();
    const wide = async () => Number(await bar.getAttribute("width"));
    const before = await wide();
    await until("the bar grows", async () => (await wide()) > before);
    // A bar leads to its run, by keys as by a click.
    await page.goto(`${nodes.nodes[0].url}/ui/timeline?span=15`);
    await page.locator('.timeline a[data-run][tabindex="0"]').first().focus();
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/runs\//);
    await page.goto(`${nodes.nodes[0].url}/ui/timeline?span=60`);
    await page.getByRole("link", { name: /^tick: \d+ runs/ }).focus();
    await page.keyboard.press("ArrowLeft");
    await page.waitForURL(/from=/);
    await page.keyboard.press("+");
    await page.waitForURL(/span=30/);
    await page.keyboard.press("0");
    await page.waitForFunction(() => !location.search.includes("from="));
    await page.getByLabel("Lanes by name").fill("slo");
    await page.getByRole("link", { name: /^slow: \d+ runs?/ }).waitFor();
    equal(await page.getByRole("link", { name: /^tick: / }).count(), 0, "lanes that do not fit");
    await page.getByLabel("as a list").check();
    await page.locator("table.runs a[data-row]").first().waitFor();
  },

  async "the calendar shows past and coming hours, and what is behind them"() {
    const items = Array.from({ length: 30 }, (_, n) => ({ name: `noon-${n}`, expr: "0 12 * * *", tags: ["noon"] }));
    await nodes.call("/apply", { method: "POST", body: { items } });
    const page = await enter();
    await page.goto(`${nodes.nodes[0].url}/ui/calendar`);
    await page.locator(".map .cell.at-now").waitFor();
    const tomorrow = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10);
    await page.goto(`${nodes.nodes[0].url}/ui/calendar?date=${tomorrow}&at=${tomorrow}T12:00:00Z`);
    const panel = page.getByRole("region", { name: /What is behind/ });
    await panel.getByText("noon-1", { exact: true }).waitFor();
    await panel.getByRole("row", { name: /noon-1 / }).getByRole("button", { name: "Spread" }).click();
    await page.getByRole("dialog").getByLabel("Jitter").fill("20m");
    await page.getByRole("dialog").getByRole("button", { name: "Spread" }).click();
    await until("it has a jitter", async () => (await nodes.call("/jobs/noon-1")).jitter === "20m");
    // A day by five minutes, from the name of the day; the cells are walked by arrow keys.
    await page.locator(".map tbody th button").first().click();
    await page.waitForURL(/view=day/);
    await page.locator(".map .cell").first().focus();
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.waitForURL(/at=.*01%3A05|at=.*01:05/);
    await nodes.call("/apply?prune=noon", { method: "POST", body: { items: [] } }).catch(() => undefined);
  },

  async "the graph shows what starts and holds what, and is walked along its edges"() {
    const items = [
      { name: "g-extract", on_success: ["g-load"], on_failure: ["g-nobody"] },
      { name: "g-load" },
      { name: "g-report", dependencies: ["g-load"] },
    ];
    await nodes.call("/apply", { method: "POST", body: { items } });
    const page = await enter();
    await page.goto(`${nodes.nodes[0].url}/ui/graph?job=g-report`);
    await page.locator('[data-node="g-extract"]').focus();
    await page.keyboard.press("ArrowRight");
    const at = () => page.evaluate(() => document.activeElement?.getAttribute("data-node"));
    equal(["g-load", "g-nobody"].includes(await at()), true, `along an edge (${await at()})`);
    await page.locator('[data-node="g-load"]').focus();
    await page.keyboard.press("ArrowRight");
    equal(await at(), "g-report", "along the next edge");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "g-report" }).waitFor();
    await page.goto(`${nodes.nodes[0].url}/ui/graph?list=true`);
    await page.getByText("when it succeeds, starts").first().waitFor();
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
    const places = ["/", "/jobs", "/jobs/tick", "/jobs/loud?tab=search&q=disk", "/jobs/asked?tab=versions", "/runs", "/timeline", "/timeline?list=false", "/calendar", "/calendar?view=day", "/graph", "/graph?list=false", "/new", "/cluster", "/queues", "/channels", "/channels?edit=", "/sinks", "/sinks?edit=", "/triggers", "/triggers?edit=", "/strips?job=tick", "/monitors", "/monitors?edit=", "/rules", "/rules?edit=", "/windows", "/windows?edit=", "/secrets", "/audit", "/users", "/tokens", "/settings", "/help"];
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
    // On other views as well what was known stays. Each has a stream, and a browser has six connections.
    const views = { "/timeline?span=60": ".timeline .lane-row", "/calendar": ".map .cell", "/graph": "[data-node]" };
    const others = [];
    for (const [path, seen] of Object.entries(views)) {
      const other = await page.context().newPage();
      await other.goto(`${nodes.nodes[at].url}/ui${path}`);
      await other.locator(seen).first().waitFor();
      others.push({ path, seen, other });
    }
    nodes.kill(at);
    await page.getByRole("status").getByText("reconnecting").waitFor();
    for (const { path, seen, other } of others) {
      await other.getByRole("status").getByText("reconnecting").waitFor();
      equal((await other.locator(seen).count()) > 0, true, `what was known on ${path}, while its node is away`);
      await other.close();
    }
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

Object.assign(tests, flow({ nodes, enter, equal, write }), more({ nodes, program, enter, context, equal, axe }));

let passed = 0;
let failed = 0;
let skipped = 0;
try {
  await nodes.start(3, () => ({ CRONAPI_SINK_DIR: join(nodes.folder, "sinks") }));
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
      if (error instanceof Skipped) {
        skipped++;
        console.log(`SKIPPED ${name}: ${error.message}`);
        continue;
      }
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
console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exit(failed ? 1 : 0);
