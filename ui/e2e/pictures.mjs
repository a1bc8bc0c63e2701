// Pictures of every page, in both themes and three widths: node e2e/pictures.mjs URL PASSWORD FOLDER

import { mkdirSync } from "node:fs";
import { chromium } from "playwright-core";

const [url, password, folder] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const wanted = (process.env.PAGES ?? "overview,jobs,job,explain,run,runs,edit,cluster,queues,secrets,audit,users,tokens,settings,help").split(",");
for (const [theme, width, height] of [["light", 1440, 900], ["dark", 1440, 900], ["light", 360, 740]]) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, locale: "en-GB", timezoneId: "Europe/London" });
  const page = await context.newPage();
  page.on("console", (message) => message.type() === "error" && console.error("console:", message.text()));
  page.on("pageerror", (error) => console.error("page:", error.message));
  await page.goto(`${url}/ui/`);
  await page.getByLabel("User").waitFor();
  if (wanted.includes("overview")) await page.screenshot({ path: `${folder}/login-${theme}-${width}.png` });
  await page.getByLabel("User").fill("admin");
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.locator(".say").first().waitFor();
  const token = (await (await page.request.post(`${url}/auth/token`, { form: { username: "admin", password } })).json()).access_token;
  const ask = async (path) => (await page.request.get(url + path, { headers: { Authorization: `Bearer ${token}` } })).json();
  const run = (await ask("/runs?job=index-search&limit=1")).items?.[0]?.id ?? (await ask("/runs?limit=1")).items[0].id;
  const skipped = (await ask("/jobs/sync-crm/ledger?limit=20")).items?.find((row) => row.outcome === "skipped")?.nominal_time;
  const places = {
    overview: "/", jobs: "/jobs", job: "/jobs/flaky?tab=figures", explain: `/jobs/sync-crm?at=${skipped}`, run: `/runs/${run}`, runs: "/runs",
    edit: "/jobs/reports-nightly/edit", cluster: "/cluster", queues: "/queues", secrets: "/secrets", audit: "/audit", users: "/users",
    tokens: "/tokens", settings: "/settings", help: "/help",
  };
  for (const name of wanted) {
    await page.goto(`${url}/ui${places[name]}`);
    await page.locator("main h1, main .say").first().waitFor();
    await page.waitForFunction(() => !document.querySelector(".skeleton"), null, { timeout: 5000 }).catch(() => console.error(name, "still loads"));
    await page.screenshot({ path: `${folder}/${name}-${theme}-${width}.png`, fullPage: width < 500 });
  }
  await context.close();
}
await browser.close();
