// Real nodes on loopback, for a browser: started, killed by pid, and gone at the end.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const PASSWORD = "correct-horse-battery-staple";

/** What a test throws that can't be done on this machine. */
export class Skipped extends Error {}

export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

export class Nodes {
  constructor(program) {
    this.program = program;
    this.folder = mkdtempSync(join(tmpdir(), "cronapi-page-"));
    this.nodes = [];
  }

  /** `settings` are variables of the nodes, which may need the address of the first. */
  async start(count, settings) {
    const ports = [];
    for (let at = 0; at < 2 * count; at++) ports.push(await freePort());
    const join_ = ports.slice(count).map((port) => `127.0.0.1:${port}`).join(",");
    this.settings = settings?.(`http://127.0.0.1:${ports[0]}`) ?? {};
    for (let at = 0; at < count; at++) {
      this.nodes.push({ at, url: `http://127.0.0.1:${ports[at]}`, cluster: ports[count + at], port: ports[at], join: count > 1 ? join_ : null });
      this.up(at);
    }
    await Promise.all(this.nodes.map((node) => this.ready(node.at)));
  }

  up(at) {
    const node = this.nodes[at];
    const args = ["serve", "--data", join(this.folder, String(at)), "--listen", `127.0.0.1:${node.port}`, "--cluster-listen", `127.0.0.1:${node.cluster}`];
    if (node.join) args.push("--join", node.join);
    const env = { ...process.env, CRONAPI_ADMIN_PASSWORD: PASSWORD, CRONAPI_CLUSTER_KEY: "a-key-of-the-page-tests-0123456789abcdef", CRONAPI_SLOTS: "8", ...this.settings };
    node.process = spawn(this.program, args, { env, stdio: "ignore" });
  }

  async ready(at) {
    await until(`node ${at} is ready`, async () => (await fetch(`${this.nodes[at].url}/readyz`).catch(() => null))?.status === 200, 60_000);
  }

  kill(at) {
    this.nodes[at].process.kill("SIGKILL");
  }

  async call(path, { method = "GET", body, user = "admin", password = PASSWORD, at = 0 } = {}) {
    const url = this.nodes[at].url;
    this.tokens ??= new Map();
    if (!this.tokens.has(user)) {
      const answer = await fetch(`${url}/auth/token`, { method: "POST", body: new URLSearchParams({ username: user, password }) });
      if (!answer.ok) throw new Error(`login of ${user}: ${answer.status} ${await answer.text()}`);
      this.tokens.set(user, (await answer.json()).access_token);
    }
    const headers = { Authorization: `Bearer ${this.tokens.get(user)}`, ...(body ? { "Content-Type": "application/json" } : {}) };
    const answer = await fetch(url + path, { method, headers, body: body && JSON.stringify(body) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text ? JSON.parse(text) : null;
  }

  async leader() {
    return until("a leader is known", async () => {
      for (const node of this.nodes) {
        if (node.process.exitCode !== null || node.process.signalCode !== null) continue;
        const told = await this.call("/system/leader", { at: node.at }).catch(() => null);
        if (told?.is_leader) return node.at;
      }
      return undefined;
    });
  }

  end() {
    for (const node of this.nodes) node.process?.kill("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Waits for an event that is looked for; what never comes is a failure that names it. */
export async function until(what, look, within = 20_000) {
  const end = Date.now() + within;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false && found !== null) return found;
    if (Date.now() > end) throw new Error(`did not come within ${within} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
