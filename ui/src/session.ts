// Who is logged in, in this tab.
//
// The access token lives in memory only. What renews it is a cookie that scripts can't read
// (HttpOnly, SameSite=Strict, for /auth/session alone); a request there has to carry a header that
// another site can't send. Tabs renew one at a time and tell each other, so that a token that may be
// used once is used once.

export type Who = { user: string; role: string; scope: { jobs?: string[]; tags?: string[] } };

type Issued = { access_token: string; expires_in: number };
type State = { token: string; until: number } | null;

const PATH = "/auth/session";
const HEADERS = { "X-CronAPI-Page": "1" };
/** Renewed this long before its end, in milliseconds. */
const EARLY = 60_000;
/** Between two questions to a node that does not answer, in milliseconds. */
const AGAIN_FIRST = 500;
const AGAIN_MOST = 5_000;

class Session {
  private state: State = null;
  private who: Who | null | undefined = undefined;
  private heard = new Set<() => void>();
  private tabs = new BroadcastChannel("cronapi-session");

  constructor() {
    this.tabs.onmessage = (told: MessageEvent<State | "out">) => {
      if (told.data === "out") this.set(null, null);
      else {
        // Maybe of somebody else, who logged in over there.
        this.state = told.data;
        void this.ask();
      }
    };
  }

  /** The user; null: nobody; undefined: not known yet. */
  current(): Who | null | undefined {
    return this.who;
  }

  subscribe = (listener: () => void): (() => void) => {
    this.heard.add(listener);
    return () => this.heard.delete(listener);
  };

  /** The access token, renewed when it is about to end. */
  async token(): Promise<string | null> {
    if (this.state && this.state.until - EARLY > Date.now()) return this.state.token;
    await this.renew();
    return this.state?.token ?? null;
  }

  /** Finds out who is logged in; while no node answers, that is not known. */
  async begin(): Promise<void> {
    for (let wait = AGAIN_FIRST; ; wait = Math.min(2 * wait, AGAIN_MOST)) {
      if ((await this.renew()) && (await this.ask())) return;
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }

  /** The server says that the user may do more or less than before. */
  rights(): void {
    void this.ask();
  }

  async login(username: string, password: string): Promise<Response> {
    const body = new URLSearchParams({ username, password });
    const answer = await fetch(PATH, { method: "POST", headers: HEADERS, body });
    if (answer.ok) {
      this.keep((await answer.json()) as Issued);
      await this.ask();
    }
    return answer;
  }

  async logout(): Promise<void> {
    const token = await this.token();
    const authorization: Record<string, string> = token ? { Authorization: `Bearer ${token}` } : {};
    // Ends the sessions themselves, on every node; then the cookie goes.
    if (token) await fetch("/auth/logout", { method: "POST", headers: authorization }).catch(() => undefined);
    await fetch(PATH, { method: "DELETE", headers: HEADERS }).catch(() => undefined);
    this.tabs.postMessage("out");
    this.set(null, null);
  }

  /** A call was refused with 401: the token is no longer good. */
  refused(): void {
    this.state = null;
    void this.begin();
  }

  /** Whether it is known now. */
  private async renew(): Promise<boolean> {
    return await navigator.locks.request("cronapi-session", async () => {
      // Another tab may have done it meanwhile.
      if (this.state && this.state.until - EARLY > Date.now()) return true;
      const answer = await fetch(PATH, { method: "PUT", headers: HEADERS }).catch(() => null);
      // Without an answer nothing is known: what was there stays.
      if (!answer || answer.status >= 500 || answer.status === 429) return false;
      if (answer.status === 200) this.keep((await answer.json()) as Issued);
      else this.state = null;
      return true;
    });
  }

  private keep(issued: Issued): void {
    this.state = { token: issued.access_token, until: Date.now() + issued.expires_in * 1000 };
    this.tabs.postMessage(this.state);
  }

  /** Whether it is known now. */
  private async ask(): Promise<boolean> {
    if (!this.state) {
      this.set(null, null);
      return true;
    }
    const headers = { Authorization: `Bearer ${this.state.token}` };
    const answer = await fetch("/auth/me", { headers }).catch(() => null);
    if (answer?.ok) this.set(this.state, (await answer.json()) as Who);
    else if (answer?.status === 401) this.set(null, null);
    else return false;
    return true;
  }

  private set(state: State, who: Who | null): void {
    this.state = state;
    this.who = who;
    this.heard.forEach((listener) => listener());
  }
}

export const session = new Session();

const LADDER = ["viewer", "runner", "operator", "admin"];

/** Whether the user has at least that role. The server judges; this only hides what it would refuse. */
export function may(who: Who | null | undefined, role: "viewer" | "runner" | "operator" | "admin"): boolean {
  return !!who && LADDER.indexOf(who.role) >= LADDER.indexOf(role);
}
