// Sessions, installing, and what every page owes its reader: tests of page.mjs.

import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { Nodes, until } from "./nodes.mjs";
import { Provider } from "./provider.mjs";
import { PushService } from "./push.mjs";

export const PLACES = ["/", "/jobs", "/jobs/tick", "/jobs/tick?tab=figures", "/jobs/tick?tab=versions", "/runs", "/timeline", "/calendar", "/graph", "/new", "/incidents", "/cluster", "/queues", "/channels", "/channels?edit=", "/sinks", "/sinks?edit=", "/triggers", "/triggers?edit=", "/strips?job=tick", "/monitors", "/monitors?edit=", "/rules", "/rules?edit=", "/windows", "/windows?edit=", "/secrets", "/audit", "/users", "/tokens", "/settings", "/help"];

/** Those with the most colours. */
const READ = ["/", "/jobs/tick", "/timeline", "/calendar", "/cluster"];

/** The job that others of these tests look at; it may be there already. */
async function ticks(nodes) {
  const runner = { type: "shell", command: "echo tick" };
  await nodes.call("/jobs", { method: "POST", body: { name: "tick", expr: "* * * * * *", runner } }).catch((fault) => {
    if (!fault.message.includes(": 409 ")) throw fault;
  });
}

export const more = ({ nodes, program, enter, context, equal, axe }) => ({
  async "a login at the provider ends where it began, and a tab at rest learns at once what becomes of its user"() {
    const provider = new Provider();
    await provider.start();
    const quiet = new Nodes(program);
    try {
      await quiet.start(1, (url) => {
        const file = join(quiet.folder, "node.toml");
        const text = `[oidc]\nissuer = "${provider.issuer}"\nclient_id = "cronapi"\nredirect_url = "${url}/auth/oidc/callback"\nroles = [{ group = "ops", role = "operator" }]\n`;
        writeFileSync(file, text);
        return { CRONAPI_CONFIG: file };
      });
      await quiet.call("/jobs", { method: "POST", body: { name: "still", code: "def f():\n    pass" } });
      const url = quiet.nodes[0].url;
      const made = await context();
      const page = await made.newPage();
      await page.goto(`${url}/ui/jobs/still?tab=definition`);
      await page.getByRole("link", { name: "Log in at the provider" }).click();
      await page.getByRole("heading", { name: "still" }).waitFor();
      equal(page.url(), `${url}/ui/jobs/still?tab=definition`, "where the login ends");
      equal(await page.getByText("olga").count() > 0, true, "the name of the user");
      const readable = await page.evaluate(() => document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage));
      equal(/eyJ|cronapi_/.test(readable), false, `a token among what scripts can read (${readable})`);

      // A second tab, and nothing that happens: no event carries the news.
      const other = await made.newPage();
      await other.goto(`${url}/ui/settings`);
      await other.getByRole("heading", { name: "Settings" }).waitFor();
      await page.getByRole("link", { name: "Secrets" }).waitFor();
      await quiet.call("/users/olga/role", { method: "PUT", body: { role: "viewer" } });
      await page.getByRole("link", { name: "Secrets" }).waitFor({ state: "detached", timeout: 3_000 });
      await other.getByText("olga, viewer").waitFor({ timeout: 3_000 });
      await quiet.call("/users/olga/revoke", { method: "POST" });
      await page.getByLabel("Password").waitFor({ timeout: 3_000 });
      await other.getByLabel("Password").waitFor({ timeout: 3_000 });

      // Who has no role here is told so by the page, at the same place.
      provider.user = { ...provider.user, groups: ["others"] };
      await page.getByRole("link", { name: "Log in at the provider" }).click();
      await page.getByRole("alert").getByText("no group of yours has a role here").waitFor();
      equal(page.url(), `${url}/ui/jobs/still?tab=definition`, "the address after a refusal");
      // A login in one tab counts in the other; a logout too.
      provider.user = { ...provider.user, groups: ["ops"] };
      await page.getByRole("link", { name: "Log in at the provider" }).click();
      await page.getByRole("heading", { name: "still" }).waitFor();
      await other.getByText("olga, operator").waitFor({ timeout: 3_000 });
      await other.getByRole("button", { name: "log out" }).click();
      await page.getByLabel("Password").waitFor({ timeout: 3_000 });
    } finally {
      quiet.end();
      provider.end();
    }
  },

  async "a browser subscribes, is told while no page is open, and a click leads to the run"() {
    const service = new PushService();
    await service.start();
    const quiet = new Nodes(program);
    try {
      await quiet.start(1, () => ({ CRONAPI_PUSH_ALLOW: service.origin }));
      const url = quiet.nodes[0].url;
      const page = await enter({ at: 0, of: quiet, permissions: ["notifications"] });
      // No push service of a vendor can be asked here: the browser's part of subscribing is put in its place.
      await page.addInitScript((made) => {
        const subscription = { ...made, toJSON: () => made, unsubscribe: async () => sessionStorage.removeItem("subscribed") };
        PushManager.prototype.getSubscription = async () => (sessionStorage.getItem("subscribed") ? subscription : null);
        PushManager.prototype.subscribe = async (options) => {
          sessionStorage.setItem("subscribed", options.applicationServerKey);
          return subscription;
        };
      }, service.subscription());
      await page.goto(`${url}/ui/settings`);
      await page.getByRole("button", { name: "Tell this browser" }).click();
      await page.getByLabel("What to call it").fill("my phone");
      await page.getByRole("dialog").getByRole("button", { name: "Tell this browser" }).click();
      const row = page.getByRole("row", { name: /my phone/ });
      await row.getByText("(this one)").waitFor();
      const { key } = await quiet.call("/push/key");
      equal(await page.evaluate(() => sessionStorage.getItem("subscribed")), key, "the key that it subscribed with");
      await row.getByRole("button", { name: "Send a test" }).click();
      await row.getByText(/the push service has it/).waitFor();
      equal(service.came[0]?.said.title, "A test from CronAPI", `what the test said (${service.faults})`);
      equal(service.came[0].signed.key, key, "the key that signs");

      if (process.env.PICTURE) await page.screenshot({ path: process.env.PICTURE, fullPage: true });
      const failing = { name: "failing", runner: { type: "shell", command: "exit 3" } };
      await quiet.call("/jobs", { method: "POST", body: failing });
      const run = await quiet.call("/jobs/failing/runs", { method: "POST", body: {} });
      const { said } = await until("the failure is pushed", async () => service.came.find((one) => one.said.tag === "job:failing"));
      equal(said.title, "failing failed", "the title");
      equal(said.url, `/ui/runs/${run.id}`, "where it leads");

      // The browser hands it to the page's worker, as it does when no page is open.
      const devtools = await page.context().newCDPSession(page);
      const registered = new Promise((found) => devtools.on("ServiceWorker.workerRegistrationUpdated", ({ registrations }) => registrations[0] && found(registrations[0])));
      await devtools.send("ServiceWorker.enable");
      const { registrationId } = await registered;
      await page.evaluate(() => navigator.serviceWorker.ready.then(() => true));
      await devtools.send("ServiceWorker.deliverPushMessage", { origin: url, registrationId, data: JSON.stringify(said) });
      const shown = await until("it is shown", () =>
        page.evaluate(async () => {
          const [one] = await (await navigator.serviceWorker.ready).getNotifications();
          return one && { title: one.title, body: one.body, tag: one.tag };
        }),
      );
      equal(JSON.stringify(shown), JSON.stringify({ title: said.title, body: said.body, tag: said.tag }), "what is shown");
      const [worker] = page.context().serviceWorkers();
      await worker.evaluate(async () => {
        const [notification] = await self.registration.getNotifications();
        self.dispatchEvent(new NotificationEvent("notificationclick", { notification }));
      });
      await page.waitForURL(`**/ui/runs/${run.id}`);
      await page.getByRole("heading", { name: /failing/ }).waitFor();
      // A push that leads elsewhere leads to the page, and one that can't be read is shown all the same.
      await devtools.send("ServiceWorker.deliverPushMessage", { origin: url, registrationId, data: "no JSON" });
      await until("it is shown", () => page.evaluate(async () => (await (await navigator.serviceWorker.ready).getNotifications()).find((one) => one.body.startsWith("Something happened"))?.title));

      await page.goto(`${url}/ui/settings`);
      await page.getByRole("row", { name: /my phone/ }).getByRole("button", { name: "Tell no more" }).click();
      await page.getByRole("dialog").getByRole("button", { name: "Tell no more" }).click();
      await page.getByRole("row", { name: /my phone/ }).waitFor({ state: "detached" });
      equal((await quiet.call("/push/subscriptions")).items.length, 0, "browsers that are told");
    } finally {
      quiet.end();
      service.end();
    }
  },

  async "tabs of two nodes renew at the same moment, and both stay"() {
    const page = await enter();
    const other = await page.context().newPage();
    await other.goto(`${nodes.nodes[1].url}/ui/settings`);
    await other.getByRole("heading", { name: "Settings" }).waitFor();
    // One host, two origins: one cookie, and no lock that both know.
    const renew = (tab) => tab.evaluate(async () => (await fetch("/auth/session", { method: "PUT", headers: { "X-CronAPI-Page": "1" } })).status);
    for (let round = 0; round < 3; round++) {
      const answers = await Promise.all([renew(page), renew(other)]);
      equal(answers.join(), "200,200", `round ${round}`);
    }
    await Promise.all([page.reload(), other.reload()]);
    await page.getByRole("navigation", { name: "Pages" }).waitFor();
    await other.getByRole("heading", { name: "Settings" }).waitFor();
  },

  async "it can be installed, keeps its shell and no data, and names the other nodes when its own is away"() {
    await ticks(nodes);
    const at = ((await nodes.leader()) + 1) % 3;
    const page = await enter({ at });
    const devtools = await page.context().newCDPSession(page);
    const { installabilityErrors } = await devtools.send("Page.getInstallabilityErrors");
    // A context of a test counts as incognito, which nothing is installed from.
    const faults = installabilityErrors.map((fault) => fault.errorId).filter((id) => id !== "in-incognito");
    equal(faults.join(), "", "why it can't be installed");
    const { errors } = await devtools.send("Page.getAppManifest");
    equal(errors.length, 0, `faults of the manifest (${JSON.stringify(errors)})`);
    await page.goto(`${nodes.nodes[at].url}/ui/jobs/tick`);
    await page.locator("a.cell").nth(3).waitFor();
    const kept = await until("the shell is kept", () =>
      page.evaluate(async () => {
        await navigator.serviceWorker.ready;
        const urls = [];
        for (const name of await caches.keys()) for (const one of await (await caches.open(name)).keys()) urls.push(new URL(one.url).pathname);
        return urls.includes("/ui/") && urls.some((url) => /Job-.*[.]js$/.test(url)) ? urls : undefined;
      }),
    );
    const data = kept.filter((path) => path !== "/ui/" && !path.startsWith("/ui/assets/"));
    equal(data.join(), "", "what is kept beside the shell");
    nodes.kill(at);
    try {
      const away = page.getByRole("alert").filter({ hasText: "This node does not answer" });
      await away.waitFor();
      equal(await page.locator("a.cell").count() > 3, true, "cells while its node is away");
      // Opened anew, the shell comes from this browser; the address is kept on the way.
      await page.reload();
      await away.waitFor();
      const links = await away.getByRole("link").allTextContents();
      equal(links.length, 2, `other nodes (${links})`);
      await away.getByRole("link").first().click();
      await page.getByRole("heading", { name: "tick" }).waitFor();
      equal(new URL(page.url()).pathname, "/ui/jobs/tick", "where it goes on");
      await page.locator("a.cell").nth(3).waitFor();
    } finally {
      nodes.up(at);
      await nodes.ready(at);
    }
  },

  async "a channel is written, judged while it is typed, tested and deleted"() {
    const page = await enter();
    await page.goto(`${nodes.nodes[0].url}/ui/channels`);
    await page.getByRole("button", { name: "New channel" }).click();
    const editor = page.getByLabel("The definition, as YAML");
    const type = async (text) => {
      await editor.click();
      await page.keyboard.press("Control+A");
      await page.keyboard.press("Delete");
      await page.keyboard.insertText(text);
    };
    await type("name: ops\ntype: slack\nconfig: {url: 'https://hooks.slack.com/x'}\n");
    await page.getByText("is a secret, since who knows it may write there").first().waitFor();
    await type("name: ops\ntype: webhook\nconfig: {url: 'http://127.0.0.1:1/in', sign: {secret: not-there}}\n");
    await page.getByText("config/sign: there is no secret not-there").waitFor();
    await page.getByRole("button", { name: "Save" }).click();
    const row = page.getByRole("row", { name: /ops/ });
    await row.getByText("webhook").waitFor();
    await row.getByRole("button", { name: "Send a test" }).click();
    await row.getByText(/not taken after \d+ ms: .*there is no secret not-there/).waitFor();
    await row.getByRole("button", { name: "Edit" }).click();
    await type("name: ops\ntype: webhook\nconfig: {url: 'http://127.0.0.1:1/in'}\n");
    await page.getByText("config", { exact: true }).first().waitFor();
    await page.getByRole("button", { name: "Save" }).click();
    await row.getByRole("button", { name: "Send a test" }).click();
    await row.getByText(/not taken after \d+ ms: connection to 127.0.0.1:1 refused/).waitFor();
    await row.getByRole("button", { name: "Delete" }).click();
    const dialog = page.locator("dialog[open]");
    await dialog.getByRole("textbox").fill("ops");
    await dialog.getByRole("button", { name: "Delete" }).click();
    await page.getByText("There is no channel: nobody is told of anything.").waitFor();
  },

  async "every act says how it is done outside the page, and holds no secret"() {
    await nodes.call("/queues/slow-things", { method: "PUT", body: { concurrency: 2 } });
    await nodes.call("/users", { method: "POST", body: { name: "otto", password: "a-password-of-otto", role: "runner" } });
    await nodes.call("/tokens", { method: "POST", body: { name: "robot" } });
    await ticks(nodes);
    const run = (await until("a run of tick has ended", async () => (await nodes.call("/runs?job=tick&status=succeeded&limit=1")).items[0])).id;
    const page = await enter({ permissions: ["clipboard-read", "clipboard-write"] });
    // What a page offers, by the title of its dialog.
    const acts = {
      "/jobs/tick": ["Run now", "Pause", "Delete"], [`/runs/${run}`]: ["Run again"], "/cluster": ["Hand over leadership", "Remove"], "/queues": ["Set a limit", "Remove", "Set shares"],
      "/users": ["Add a user", "Role", "End sessions", "Delete"], "/tokens": ["Make a token", "Delete"], "/settings": ["Change the password"],
    };
    for (const [place, labels] of Object.entries(acts)) {
      await page.goto(`${nodes.nodes[0].url}/ui${place}`);
      for (const label of labels) {
        await page.locator("main").getByRole("button", { name: label, exact: true }).first().click();
        const dialog = page.locator("dialog[open]");
        for (const field of await dialog.locator("input[type=password]").all()) await field.fill("the-secret-itself");
        await dialog.getByRole("button", { name: "copy as curl" }).click();
        const curl = await page.evaluate(() => navigator.clipboard.readText());
        if (!curl.startsWith("curl -sS -X ") || !curl.includes(nodes.nodes[0].url) || !curl.includes("$TOKEN")) throw new Error(`${place}, ${label}: ${curl}`);
        if (curl.includes("the-secret-itself")) throw new Error(`${place}, ${label}: a secret in ${curl}`);
        if (place !== "/settings") {
          await dialog.getByRole("button", { name: "copy as cronapi" }).click();
          const cli = await page.evaluate(() => navigator.clipboard.readText());
          if (!/^cronapi [a-z]/.test(cli) || cli.includes("the-secret-itself")) throw new Error(`${place}, ${label}: ${cli}`);
        }
        await page.keyboard.press("Escape");
      }
    }
  },

  async "strips stand alone for a wall, and in what the palette finds"() {
    await ticks(nodes);
    const page = await enter();
    await page.goto(`${nodes.nodes[0].url}/ui/strips?job=tick&job=none`);
    const cells = page.locator("svg.strip a.cell");
    await cells.first().waitFor();
    equal(await page.getByRole("navigation").count(), 0, "places to go");
    await page.getByText("none: there is no such job").waitFor();
    const newest = () => cells.last().getAttribute("data-at");
    const before = await newest();
    await until("it goes on by itself", async () => (await newest()) !== before);
    await cells.last().click();
    await page.locator(".panel .sentence").waitFor();
    await page.keyboard.press("Control+K");
    await page.keyboard.insertText("tick");
    await page.getByRole("option", { name: /tick/ }).first().locator("svg.strip").waitFor();
    equal(await page.locator(".palette a").count(), 0, "links within what is chosen");
  },

  async "a theme that is chosen holds against the system's, and can be read"() {
    await ticks(nodes);
    for (const [chosen, colorScheme] of [["dark", "light"], ["light", "dark"]]) {
      const page = await enter({ colorScheme });
      await page.goto(`${nodes.nodes[0].url}/ui/settings`);
      await page.getByLabel("Theme").selectOption(chosen);
      for (const place of PLACES) {
        await page.goto(`${nodes.nodes[0].url}/ui${place}`);
        await page.locator("main h1").first().waitFor({ state: "attached" });
        await page.waitForFunction(() => !document.querySelector(".skeleton"));
        const dark = await page.evaluate(() => getComputedStyle(document.body).backgroundColor === "rgb(17, 18, 20)");
        equal(dark, chosen === "dark", `${place}: dark`);
        // Its words and colours are those of the system's theme, which another test reads on every page.
        if (!READ.includes(place)) continue;
        await page.evaluate(axe);
        const found = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] }));
        if (found.violations.length) throw new Error(`${place}, ${chosen}: ${found.violations.map((v) => `${v.id}: ${v.nodes[0].target.join(" ")}`).join("; ")}`);
      }
      await page.context().close();
    }
  },

  async "a job is written, started, watched and deleted without a mouse"() {
    const page = await enter();
    const focus = async (locator) => {
      for (let step = 0; step < 120; step++) {
        if (await locator.evaluate((element) => element === element.getRootNode().activeElement).catch(() => false)) return;
        await page.keyboard.press("Tab");
      }
      throw new Error(`the focus does not come to ${locator}`);
    };
    await page.keyboard.press("n");
    await page.getByRole("heading", { name: "Write a job" }).waitFor();
    await focus(page.getByLabel("The definition, as YAML"));
    await page.keyboard.press("Control+A");
    await page.keyboard.press("Delete");
    await page.keyboard.insertText("name: by-keys\nrunner: {type: shell, command: echo typed}\n");
    // Tab is a key of the editor; Escape first gives it back, as the editor says.
    await page.keyboard.press("Escape");
    await focus(page.getByRole("button", { name: "Save" }));
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "by-keys" }).waitFor();
    await focus(page.getByRole("button", { name: "Run now" }).first());
    await page.keyboard.press("Enter");
    await focus(page.locator("dialog[open]").getByRole("button", { name: "Run now" }));
    await page.keyboard.press("Enter");
    await page.getByRole("log").getByText("typed").waitFor();
    await page.keyboard.press("Control+K");
    await page.keyboard.insertText("by-keys");
    await page.getByRole("option", { name: "by-keys" }).waitFor();
    await page.keyboard.press("Enter");
    await focus(page.getByRole("button", { name: "Delete" }).first());
    await page.keyboard.press("Enter");
    await focus(page.locator("dialog[open] input"));
    await page.keyboard.insertText("by-keys");
    await page.keyboard.press("Enter");
    await until("the job is gone", async () => !(await nodes.call("/jobs?limit=100")).items.some((job) => job.name === "by-keys"));
  },
});
