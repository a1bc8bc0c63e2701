// Troubles, past times, workflows, and what stands beside the cluster, by clicks; and how many clicks
// somebody needs who knows nothing yet: tests of page.mjs.

import { spawn, spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Skipped, freePort, until } from "./nodes.mjs";

/** Takes what a channel sends, and keeps it. */
async function receiver() {
  const taken = [];
  const server = createServer((request, answer) => {
    let text = "";
    request.on("data", (piece) => (text += piece));
    request.on("end", () => (taken.push(JSON.parse(text)), answer.end("{}")));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { taken, url: `http://127.0.0.1:${server.address().port}/in`, end: () => server.close() };
}

/** A real Redis, with nothing in it. */
async function redis(folder) {
  if (spawnSync("redis-server", ["--version"]).error) throw new Skipped("there is no redis-server");
  const port = String(await freePort());
  const server = spawn("redis-server", ["--port", port, "--bind", "127.0.0.1", "--save", ""], { cwd: folder, stdio: "ignore" });
  const ask = (...words) => spawnSync("redis-cli", ["-p", port, ...words], { encoding: "utf8" }).stdout.trim();
  await until("Redis answers", () => ask("PING") === "PONG");
  return { url: `redis://127.0.0.1:${port}`, ask, end: () => server.kill("SIGKILL") };
}

/** Counts what the reader does: clicks, and words typed into one field. */
async function counted(page) {
  let clicks = 0;
  await page.exposeFunction("clicked", () => clicks++);
  await page.evaluate(() => addEventListener("click", (event) => event.isTrusted && event.detail > 0 && globalThis.clicked(), true));
  return () => clicks;
}

const shell = (command) => ({ type: "shell", command });

export const flow = ({ nodes, enter, equal, write }) => ({
  async "a failure is an incident that is told, acknowledged, and over when the job succeeds"() {
    const hook = await receiver();
    try {
      await nodes.call("/channels", { method: "POST", body: { name: "night", type: "webhook", config: { url: hook.url } } });
      const job = { name: "fragile", runner: shell("echo no space left; exit 4"), notify: { channels: ["night"] } };
      await nodes.call("/jobs", { method: "POST", body: job });
      const page = await enter();
      await page.goto(`${nodes.nodes[0].url}/ui/incidents`);
      await page.getByText("Nothing is open").waitFor();
      await nodes.call("/jobs/fragile/run", { method: "POST", body: {} });
      // It appears by itself.
      const row = page.getByRole("row", { name: /fragile/ }).first();
      await row.getByRole("button", { name: "Acknowledge" }).click();
      await row.getByText("known to admin").waitFor();
      await until("the channel is told", () => hook.taken.length > 0);
      await page.getByLabel("which").selectOption("sent");
      await page.getByRole("row", { name: /night fragile: failed/ }).waitFor();
      await row.getByRole("link", { name: "failed" }).click();
      await page.getByRole("log").getByText("no space left").waitFor();
      await nodes.call("/jobs/fragile", { method: "PUT", body: { ...job, runner: shell("true") } });
      await page.getByRole("button", { name: "Run again" }).first().click();
      await page.getByRole("dialog").getByRole("button", { name: "Run again" }).click();
      await page.locator("h1 .status", { hasText: "succeeded" }).waitFor();
      await page.getByRole("link", { name: "Incidents" }).click();
      await page.getByText("Nothing is open").waitFor();
      await page.getByLabel("those that are over").check();
      await page.getByRole("row", { name: /fragile/ }).first().waitFor();
      for (const path of ["/jobs/fragile", "/channels/night"]) await nodes.call(path, { method: "DELETE" });
    } finally {
      hook.end();
    }
  },

  async "past times are counted, then run, and stopped half way"() {
    await nodes.call("/jobs", { method: "POST", body: { name: "monthly", expr: "0 0 1 * *", runner: shell("sleep 0.1") } });
    await nodes.call("/jobs/monthly/pause", { method: "POST", body: {} });
    const page = await enter();
    await page.goto(`${nodes.nodes[0].url}/ui/jobs/monthly?tab=backfills`);
    const range = async (from, to) => {
      await page.getByLabel("Times from").fill(from);
      await page.getByLabel("to before").fill(to);
      await page.getByRole("button", { name: "Show what is missing" }).click();
    };
    await range("2024-01-01T00:00:00", "2024-01-01T00:00:00");
    await page.getByRole("alert").waitFor();
    await range("2023-12-15T00:00:00", "2024-06-15T00:00:00");
    await page.getByText("Of 6 times, 6 would be run.").waitFor();
    await page.getByRole("button", { name: "Run 6 times" }).click();
    await page.getByLabel("Reason, for the audit").fill("the archive was lost");
    await page.getByRole("dialog").getByRole("button", { name: "Run 6 times" }).click();
    const row = page.getByRole("row", { name: /missing, version/ }).first();
    await row.getByText("6 made, 6 succeeded").waitFor();
    await row.getByText("done").waitFor();
    // The same again has nothing to do.
    await range("2023-12-15T00:00:00", "2024-06-15T00:00:00");
    await page.getByText("Of 6 times, 0 would be run.").waitFor();
    equal(await page.getByRole("button", { name: /^Run \d+ times/ }).count(), 0, "offers to run nothing");
    await page.getByLabel("those that").selectOption("all");
    await range("2004-01-01T00:00:00", "2024-06-15T00:00:00");
    await page.getByRole("button", { name: /^Run 2\d\d times/ }).click();
    await page.getByRole("dialog").getByRole("button", { name: /^Run 2\d\d times/ }).click();
    const long = page.getByRole("row", { name: /all, version/ }).first();
    await long.getByRole("button", { name: "Pause" }).click();
    await page.locator("dialog[open]").getByRole("button", { name: "Pause" }).click();
    await long.getByText("paused", { exact: true }).waitFor();
    await long.getByRole("button", { name: "Cancel" }).click();
    await page.locator("dialog[open]").getByRole("button", { name: "Cancel" }).last().click();
    await long.getByText("cancelled", { exact: true }).waitFor();
    equal((await nodes.call("/jobs/monthly")).enabled, false, "the job is as it was");
  },

  async "a workflow is written, fails, goes on from what failed, and its runs stand side by side"() {
    const page = await enter();
    await page.goto(`${nodes.nodes[0].url}/ui/new`);
    // Jobs may be of another account, which must get to it.
    const folder = mkdtempSync(join(tmpdir(), "cronapi-mark-"));
    chmodSync(folder, 0o755);
    const mark = join(folder, "mended");
    await write(page, `name: close-day
tasks:
  - name: count
    runner: {type: shell, command: echo counted}
  - name: post
    after: [count]
    runner: {type: shell, command: "test -e ${mark} || exit 3"}
  - name: tell
    after: [{task: count, on: failure}]
    runner: {type: shell, command: echo told}
  - name: archive
    after: [post]
    runner: {type: shell, command: echo archived}
`);
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("heading", { name: "close-day" }).waitFor();
    await page.getByRole("button", { name: "Run now" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Run now" }).click();
    // The graph goes along while it runs; nothing is loaded anew.
    const task = (name, state) => page.locator(`[data-node="${name}"] rect.${state}`).waitFor();
    await task("count", "ok");
    await task("post", "bad");
    await task("tell", "skip");
    await task("archive", "skip");
    await page.locator("h1 .status.bad").waitFor();
    const first = page.url();
    writeFileSync(mark, "");
    await page.getByRole("button", { name: "From what failed" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "From what failed" }).click();
    await page.waitForURL((url) => url.href !== first);
    await page.locator("h1 .status", { hasText: "succeeded" }).waitFor();
    await task("archive", "ok");
    await page.getByText("kept from the run before").first().waitFor();
    await page.getByRole("link", { name: "close-day" }).first().click();
    const grid = page.locator(".task-grid");
    await grid.getByRole("group", { name: "archive in the last 2 runs" }).waitFor();
    equal(await grid.locator("rect").count(), 8, "cells of four tasks in two runs");
    await grid.getByRole("group", { name: /^post in/ }).locator("a").first().click();
    await page.getByText("exit code").waitFor();
    rmSync(folder, { recursive: true });
  },

  async "a sink is written, held, and goes on without a gap"() {
    const page = await enter();
    await page.goto(`${nodes.nodes[0].url}/ui/sinks?edit=`);
    await write(page, "name: book\ntype: file\nconfig: {url: {secret: x}}\n");
    await page.getByRole("alert").waitFor();
    await write(page, "name: book\ntype: file\nselect: {jobs: [noted]}\n");
    await page.getByRole("button", { name: "Save" }).click();
    const row = page.getByRole("row", { name: /book/ });
    await row.getByText(/node \d+ writes/).waitFor();
    await row.getByRole("button", { name: "Pause" }).click();
    await row.getByText("paused", { exact: true }).waitFor();
    await nodes.call("/jobs", { method: "POST", body: { name: "noted", overlap: "allow", runner: shell("true") } });
    for (let run = 0; run < 3; run++) await nodes.call("/jobs/noted/run", { method: "POST", body: {} });
    await until("they end", async () => (await nodes.call("/runs?job=noted&status=succeeded")).items.length === 3);
    await row.getByRole("button", { name: "Resume" }).click();
    const folder = join(nodes.folder, "sinks");
    const text = () => readdirSync(folder, { recursive: true, withFileTypes: true }).filter((one) => one.isFile()).map((one) => readFileSync(join(one.parentPath ?? one.path, one.name), "utf8")).join("");
    const ended = await until("what was held is written", () => {
      const lines = text().split("\n").filter(Boolean).map((line) => JSON.parse(line));
      const closed = lines.filter((line) => line.type === "run.succeeded" || (line.type === "run" && line.status === "succeeded") || JSON.stringify(line).includes('"succeeded"'));
      return closed.length >= 3 ? closed : undefined;
    });
    equal(ended.length, 3, "ends of runs in the file");
    await row.getByRole("button", { name: "Delete" }).click();
    await page.locator("dialog[open]").getByRole("textbox").fill("book");
    await page.locator("dialog[open]").getByRole("button", { name: "Delete" }).click();
    await page.getByText("There is no sink").waitFor();
  },

  async "a trigger is written, and an entry of a stream starts a run"() {
    const there = await redis(nodes.folder);
    try {
      await nodes.call("/jobs", { method: "POST", body: { name: "pack", runner: shell("true") } });
      const page = await enter();
      await page.goto(`${nodes.nodes[0].url}/ui/triggers?edit=`);
      const body = (job) => `name: orders\ntype: redis_stream\nconfig: {url: "${there.url}", stream: orders}\n${job}`;
      await write(page, body(""));
      await page.getByRole("alert").getByText("the job that an entry starts").waitFor();
      await write(page, body("job: pack\n"));
      await page.getByRole("button", { name: "Save" }).click();
      const row = page.getByRole("row", { name: /orders/ });
      await row.getByText(/node \d+ reads/).waitFor();
      const id = there.ask("XADD", "orders", "*", "parameters", '{"order": 17}');
      await row.getByText(id).waitFor();
      there.ask("XADD", "orders", "*", "parameters", "none");
      await row.getByText("1", { exact: true }).first().waitFor();
      await row.getByRole("link", { name: "pack" }).click();
      await page.locator("table.runs a[data-row]").first().click();
      await page.getByText(`trigger:orders/${id}`).waitFor();
      await nodes.call("/triggers/orders", { method: "DELETE" });
    } finally {
      there.end();
    }
  },

  async "a monitor is written, hears a ping, and a failure stands on the page at once"() {
    const page = await enter();
    await page.goto(`${nodes.nodes[0].url}/ui/monitors?edit=`);
    await write(page, "name: tape\nevery: 1h\ngrace: 10m\ntags: [archive]\n");
    await page.getByRole("button", { name: "Save" }).click();
    const row = page.getByRole("row", { name: /tape/ });
    await row.getByRole("button", { name: "New key" }).click();
    const said = row.locator("code[role=status]");
    await said.getByText("/ping/").waitFor();
    const url = await said.textContent();
    equal((await fetch(url)).status, 200, "a ping");
    await row.getByText("up", { exact: true }).waitFor();
    equal((await fetch(`${url}/fail`, { method: "POST", body: "no tape" })).status, 200, "a ping of a failure");
    await row.getByText("down", { exact: true }).waitFor();
    await row.getByRole("button", { name: "Pause" }).click();
    await row.getByText("paused", { exact: true }).first().waitFor();
    await nodes.call("/monitors/tape", { method: "DELETE" });
  },

  async "the editor offers fields and words, and marks the line that is wrong"() {
    const page = await enter();
    await page.goto(`${nodes.nodes[0].url}/ui/new`);
    await write(page, "name: helped\nrunner:\n  type: shell\n  comm");
    await page.keyboard.press("Control+Space");
    await page.locator(".cm-tooltip-autocomplete").getByRole("option", { name: /^command/ }).click();
    await page.keyboard.insertText("'true'\nover");
    await page.keyboard.press("Control+Space");
    // What is within the runner is offered there, what is of the job further left.
    equal(await page.locator(".cm-tooltip-autocomplete").getByRole("option", { name: /^overlap/ }).count(), 0, "fields of the job within its runner");
    await write(page, "name: helped\nrunner: {type: shell, command: 'true'}\noverlap: ");
    await page.keyboard.press("Control+Space");
    await page.locator(".cm-tooltip-autocomplete").getByRole("option", { name: "queue_one" }).click();
    await write(page, "name: helped\noverlap: queue_one\ntimeout: soon\nexpr: '61 * * * *'\n");
    const marks = page.locator(".cm-lintRange-error");
    await marks.first().waitFor();
    const words = await marks.allTextContents();
    if (!words.some((word) => word.includes("soon") || word.includes("61"))) throw new Error(`marked: ${words}`);
  },

  async "a job is written by the form alone, and what the text has beside it stays"() {
    const page = await enter();
    await page.goto(`${nodes.nodes[0].url}/ui/new`);
    const form = page.getByRole("form", { name: "The definition, as a form" });
    const text = page.locator(".cm-content");
    await form.getByLabel("Name").fill("formed");
    await form.getByLabel("Schedule").fill("*/5 * * *");
    await form.getByText("has 4 fields").waitFor();
    await form.getByLabel("Schedule").fill("");
    await form.getByLabel("Schedule").fill("*/5 * * * *");
    await form.getByText("has 4 fields").waitFor({ state: "detached" });
    await form.getByLabel("Runs").selectOption("python");
    await form.getByLabel("Code").fill("def run(params):\n    print('by the form')\n");
    await form.getByLabel("Attempts").fill("3");
    await form.getByLabel("Time zone").fill("");
    await form.getByLabel("Queue", { exact: true }).fill("slow");
    await text.getByText("# if a run is still going").waitFor();
    await text.getByText("queue: slow").waitFor();
    // What is typed beside it comes into the form.
    await text.getByText("queue: slow").click();
    await page.keyboard.press("End");
    await page.keyboard.type("er");
    await until("the form has it", async () => (await form.getByLabel("Queue", { exact: true }).inputValue()) === "slower");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("heading", { name: "formed" }).waitFor();
    const job = await nodes.call("/jobs/formed");
    equal(JSON.stringify([job.expr, job.timezone, job.queue, job.retry.max_attempts, job.runner.type]), JSON.stringify(["*/5 * * * *", null, "slower", 3, "python"]), "what was saved");
    await nodes.call("/jobs/formed/run", { method: "POST", body: {} });
    await until("it runs", async () => (await nodes.call("/runs?job=formed&status=succeeded")).items.length > 0);
    await nodes.call("/jobs/formed", { method: "DELETE" });
  },

  async "shares of lanes are set, and put back"() {
    const page = await enter();
    await page.goto(`${nodes.nodes[0].url}/ui/queues`);
    const row = page.getByRole("row", { name: /^backfill / });
    await row.getByText("50 %").waitFor();
    await page.getByRole("button", { name: "Set shares" }).click();
    await page.getByLabel("backfill, %").fill("20");
    await page.getByRole("dialog").getByRole("button", { name: "Set shares" }).click();
    await row.getByText("20 %").waitFor();
    equal(JSON.stringify((await nodes.call("/settings/scheduling")).lanes), '{"live":100,"retry":75,"backfill":20}', "the shares");
    await page.getByRole("button", { name: "Defaults" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Defaults" }).click();
    await row.getByText("50 %").waitFor();
  },

  async "what is typed while the page is slow is not lost"() {
    const page = await enter();
    await page.goto(`${nodes.nodes[0].url}/ui/new`);
    const devtools = await page.context().newCDPSession(page);
    for (let round = 0; round < 16; round++) {
      // What the page makes of one text comes at each moment of the next.
      await devtools.send("Emulation.setCPUThrottlingRate", { rate: 3 + (round % 4) });
      await write(page, `name: round-${round}\n`);
      const shown = await page.getByLabel("The definition, as YAML").innerText();
      equal(shown.trim(), `name: round-${round}`, "what is there");
    }
    await page.getByText("No schedule: it runs by hand").waitFor();
  },

  async "at three in the morning: from the first page to the mended run in three clicks"() {
    await nodes.call("/jobs", { method: "POST", body: { name: "night-dump", runner: shell("echo disk full on db-3; exit 28") } });
    await nodes.call("/jobs/night-dump/run", { method: "POST", body: {} });
    const page = await enter();
    const clicks = await counted(page);
    const needs = page.getByRole("row", { name: /night-dump/ }).first();
    await needs.getByText("status 28").waitFor();
    await needs.getByRole("link", { name: "failing" }).click();
    await page.getByRole("log").getByText("disk full on db-3").waitFor();
    equal(clicks(), 1, "clicks to the cause");
    await nodes.call("/jobs/night-dump", { method: "PATCH", body: { runner: shell("true") } });
    await page.getByRole("button", { name: "Run again" }).first().click();
    await page.getByRole("dialog").getByRole("button", { name: "Run again" }).click();
    await page.locator("h1 .status", { hasText: "succeeded" }).waitFor();
    equal(clicks(), 3, "clicks until it is mended");
  },

  async "a first job: written, run and read in six clicks"() {
    const page = await enter();
    const clicks = await counted(page);
    await page.getByRole("link", { name: "Jobs", exact: true }).first().click();
    await page.getByRole("link", { name: "Write a job" }).first().click();
    await write(page, "name: first-of-mine\nrunner: {type: shell, command: echo hello from me}\n");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("button", { name: "Run now" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Run now" }).click();
    await page.getByRole("log").getByText("hello from me").waitFor();
    // One of them puts the caret into the editor.
    equal(clicks(), 6, "clicks");
  },

  async "why did it not run last Tuesday: who paused it in three clicks, and why in one more"() {
    await nodes.call("/jobs", { method: "POST", body: { name: "tuesday", expr: "* * * * * *", runner: shell("true") } });
    const paused = await nodes.call("/jobs/tuesday/pause", { method: "POST", body: { reason: "the vault is moved" } });
    // The last time of those that are skipped: on a slow machine the first may have come before the pause.
    const last = (row) => new Date(Date.parse(row.until) - 1000);
    const since = new Date(paused.updated_at);
    const skipped = await until("a time is skipped", async () => (await nodes.call("/jobs/tuesday/ledger")).items.find((row) => row.outcome === "skipped" && row.reason === "paused" && last(row) > since));
    const page = await enter();
    const clicks = await counted(page);
    await page.getByRole("link", { name: "Jobs", exact: true }).first().click();
    await page.locator("[data-search]").fill("tuesday");
    await page.getByRole("link", { name: "tuesday" }).first().click();
    const at = last(skipped);
    await page.getByLabel("Why did it, or did it not, run at").fill(new Date(at.valueOf() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19));
    await page.getByRole("button", { name: "Explain" }).click();
    const panel = page.locator("section.panel");
    await panel.getByText("admin paused it at").waitFor();
    equal(clicks(), 3, "clicks to the answer");
    await panel.getByRole("link", { name: "See why it was paused" }).click();
    await page.getByText("the vault is moved").first().waitFor();
    equal(clicks(), 4, "clicks to the reason");
  },
});
