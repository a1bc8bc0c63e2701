// A job's life through the generated TypeScript client: `node flow.js URL PASSWORD`.
//
// Prints a line for each thing that holds, and ends with an error at the first that does not.

import createClient, { type Client } from "openapi-fetch";
import type { components, paths } from "./cronapi.js";

type Schemas = components["schemas"];
type Problem = Schemas["Problem"];
type Answer<T> = { data?: T; error?: Problem; response: Response };

const [url = "", password = ""] = process.argv.slice(2);

function ok(what: string, holds: boolean, seen?: unknown): void {
  if (!holds) throw new Error(`${what}: ${JSON.stringify(seen)}`);
  console.log(`ok TypeScript: ${what}`);
}

/** What was answered, when it was no problem. */
function done<T>(answer: Answer<T>): T {
  if (answer.data === undefined) {
    throw new Error(`${answer.response.status}: ${JSON.stringify(answer.error)}`);
  }
  return answer.data;
}

function refused(answer: Answer<unknown>, status: number, code: string): Problem {
  const { error, response } = answer;
  const media = response.headers.get("content-type");
  ok(
    `${status} is a problem, ${code}`,
    response.status === status && error?.status === status && error.code === code &&
      media === "application/problem+json",
    { status: response.status, media, error },
  );
  return error as Problem;
}

async function signedIn(): Promise<Client<paths>> {
  const anyone = createClient<paths>({ baseUrl: url });
  const wrong = { username: "admin", password: "not this one" };
  refused(await anyone.POST("/auth/login", { body: wrong }), 401, "unauthenticated");
  const issued = done(await anyone.POST("/auth/login", { body: { username: "admin", password } }));
  ok("a login gives a token and the role", issued.role === "admin" && issued.expires_in > 0);
  const again = done(
    await anyone.POST("/auth/token", {
      body: { grant_type: "password", username: "admin", password },
      headers: { "Content-Type": "application/x-www-form-urlencoded" },
    }),
  );
  ok("so does the form of OAuth2", again.token_type === "bearer", again.token_type);
  const problem = refused(await anyone.GET("/jobs"), 401, "unauthenticated");
  ok("a problem says what to do", problem.detail.includes("token"), problem);
  const client = createClient<paths>({
    baseUrl: url,
    headers: { Authorization: `Bearer ${issued.access_token}` },
  });
  const me = done(await client.GET("/auth/me"));
  ok("the token is known", me.user === "admin" && me.role === "admin", me);
  return client;
}

async function definitions(client: Client<paths>): Promise<void> {
  const spec: Schemas["JobSpec"] = {
    name: "hello",
    description: "Says hello",
    expr: "0 7 * * mon-fri",
    timezone: "Europe/Berlin",
    runner: { type: "shell", command: 'echo "hello $CRONAPI_JOB"; echo oh >&2' },
    retry: { max_attempts: 2, on: ["failed"] },
    tags: ["greetings"],
  };
  const answer = await client.POST("/jobs", { body: spec });
  const job = done(answer);
  const tag = answer.response.headers.get("etag");
  ok("a job is created", answer.response.status === 201 && tag === '"1"', tag);
  ok("a time is a time", !Number.isNaN(Date.parse(job.next_fire_at ?? "")), job.next_fire_at);
  const runner = job.runner;
  ok("a runner tells its type", runner?.type === "shell" && runner.command !== undefined, runner);
  refused(await client.POST("/jobs", { body: spec }), 409, "exists");
  const bad = { name: "bad", expr: "61 * * * *", retry: { max_attempts: 0 } };
  const problem = refused(await client.POST("/jobs", { body: bad }), 422, "invalid");
  const places = problem.errors.map((fault) => fault.pointer);
  const wanted = ["/expr", "/retry/max_attempts"];
  ok("each fault is told", wanted.every((place) => places.includes(place)), places);
  const planned = await client.POST("/jobs", {
    params: { query: { dry_run: true } },
    body: { name: "plan" },
  });
  ok("a plan creates nothing", planned.response.status === 200, planned.error);
  const name = { params: { path: { name: "plan" } } };
  refused(await client.GET("/jobs/{name}", name), 404, "not-found");
}

async function pages(client: Client<paths>): Promise<void> {
  const names = Array.from({ length: 7 }, (_, number) => `page-${number}`);
  const items = names.map((name) => ({ name, tags: ["pages"] }));
  const applied = done(await client.POST("/apply", { body: { items } }));
  ok("a set is applied", applied.created === 7 && applied.refused === 0, applied);
  const seen: string[] = [];
  const sizes: number[] = [];
  let cursor: string | undefined;
  do {
    const query = { limit: 3, tag: ["pages"], sort: "-name" as const, cursor };
    const page = done(await client.GET("/jobs", { params: { query } }));
    seen.push(...page.items.map((job) => job.name));
    sizes.push(page.items.length);
    cursor = page.next_cursor ?? undefined;
  } while (cursor !== undefined);
  const whole = JSON.stringify(seen) === JSON.stringify([...names].reverse());
  ok("a list is read to its end", whole && Math.max(...sizes) === 3, { seen, sizes });
  const query = { cursor: "nonsense" };
  refused(await client.GET("/jobs", { params: { query } }), 400, "invalid-parameter");
}

async function runs(client: Client<paths>): Promise<void> {
  const path = { name: "hello" };
  const run = done(
    await client.POST("/jobs/{name}/run", { params: { path, query: { wait: "30s" } } }),
  );
  ok("a run is waited for", run.status === "succeeded", run);
  ok("it says why it exists", run.trigger === "manual" && run.nominal_time === null, run);
  const logs = { params: { path: { id: run.id } } };
  const output = done(await client.GET("/runs/{id}/logs", logs)) as Schemas["RunOutput"];
  const texts = output.items.map((line) => `${line.stream} ${line.text}`);
  const wanted = ["stdout hello hello\n", "stderr oh\n"];
  ok("its output is read", wanted.every((line) => texts.includes(line)), texts);
  const text = done(await client.GET("/runs/{id}/logs", {
    ...logs,
    headers: { Accept: "text/plain" },
    parseAs: "text",
  }));
  ok("as text too", text.includes("hello hello\n"), text);
  const code = "def double(number):\n    return {'twice': number * 2}\n";
  const double: Schemas["JobSpec"] = { name: "double", runner: { type: "python", code } };
  done(await client.POST("/jobs", { body: double }));
  const once = () =>
    client.POST("/jobs/{name}/run", {
      params: {
        path: { name: "double" },
        query: { wait: "30s" },
        header: { "Idempotency-Key": "once" },
      },
      body: { parameters: { number: 21 } },
    });
  const [first, second] = [done(await once()), done(await once())];
  const result = JSON.stringify(first.result);
  ok("parameters go in, a result comes out", result === '{"twice":42}', first);
  ok("a repeated key starts nothing", first.id === second.id, [first.id, second.id]);
  const kept = done(
    await client.GET("/jobs/{name}/runs", {
      params: { path: { name: "double" }, query: { status: ["succeeded", "failed"] } },
    }),
  );
  ok("the run is kept", kept.items.length === 1 && kept.items[0]?.id === first.id, kept);
}

/** The data of the first event of a stream, which is closed then. */
async function firstEvent(response: Response): Promise<Schemas["Event"]> {
  if (response.body === null) throw new Error("there is no stream");
  let text = "";
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    text += piece;
    const data = /^data: ?(.*)\n/m.exec(text)?.[1];
    if (data !== undefined) return JSON.parse(data) as Schemas["Event"];
  }
  throw new Error(`the stream ended: ${text}`);
}

async function schedule(client: Client<paths>): Promise<void> {
  const { data: stream, response } = await client.GET("/events", {
    params: { query: { jobs: ["often"], types: ["run.succeeded"] } },
    parseAs: "stream",
    signal: AbortSignal.timeout(60_000),
  });
  ok("events are followed", response.ok && stream !== undefined, response.status);
  const body: Schemas["JobSpec"] = {
    name: "often",
    expr: "@every 1s",
    runner: { type: "shell", command: "true" },
  };
  done(await client.POST("/jobs", { body }));
  const event = await firstEvent(response);
  ok("an event tells of a scheduled run", event.type === "run.succeeded", event);
  const path = { name: "often" };
  const ledger = done(await client.GET("/jobs/{name}/ledger", { params: { path } }));
  const row = ledger.items.find((one) => one.run_id === event.run_id);
  ok("the ledger has its time", row?.outcome === "fired" && row.reason === null, ledger);
  const at = row?.nominal_time ?? "";
  const why = done(await client.GET("/jobs/{name}/explain", { params: { path, query: { at } } }));
  ok("the time is explained", why.verdict === "fired" && why.run?.id === event.run_id, why);
  const reason = { params: { path }, body: { reason: "enough of it" } };
  const paused = done(await client.POST("/jobs/{name}/pause", reason));
  ok("a job is paused", !paused.enabled, paused);
  const resumed = done(await client.POST("/jobs/{name}/resume", { params: { path } }));
  ok("and resumed", resumed.enabled, resumed);
}

async function versions(client: Client<paths>): Promise<void> {
  const path = { name: "hello" };
  const read = await client.GET("/jobs/{name}", { params: { path } });
  const { runner } = done(read);
  const header = { "If-Match": read.response.headers.get("etag") ?? "" };
  const body = { expr: "@daily", runner };
  const written = await client.PUT("/jobs/{name}", { params: { path, header }, body });
  ok("the version that was read is replaced", done(written).version === 2, written.error);
  const late = await client.PUT("/jobs/{name}", { params: { path, header }, body });
  refused(late, 412, "precondition-failed");
  const patch: Schemas["JobPatch"] = { expr: null, timeout: "5m" };
  const patched = done(await client.PATCH("/jobs/{name}", { params: { path }, body: patch }));
  ok("a null takes a field out", patched.expr === undefined && patched.timeout === "5m", patched);
  const listed = done(await client.GET("/jobs/{name}/versions", { params: { path } }));
  const numbers = listed.items.map((one) => one.version).join();
  ok("every version is kept", numbers === "3,2,1", numbers);
}

async function removal(client: Client<paths>): Promise<void> {
  for (const name of ["hello", "often"]) {
    const { response, error } = await client.DELETE("/jobs/{name}", { params: { path: { name } } });
    ok(`${name} is deleted`, response.status === 204, error);
  }
  const path = { name: "hello" };
  refused(await client.GET("/jobs/{name}", { params: { path } }), 404, "not-found");
}

const client = await signedIn();
await definitions(client);
await pages(client);
await runs(client);
await schedule(client);
await versions(client);
await removal(client);
