// Queues, secrets, the audit, users and tokens: lists with what can be done to each.

import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";

import { type Schema, api, take } from "../api/client";
import { absolute } from "../model/time";
import { Lanes } from "../parts/Lanes";
import { Ask, Copy, Fault, Head, Skeleton, When, quoted } from "../parts/small";
import { may } from "../session";
import { useWho } from "../who";

function useAgain() {
  const client = useQueryClient();
  return () => client.invalidateQueries();
}

function scope(value: Schema["Scope"]): string {
  const parts = [...(value.jobs ?? []), ...(value.tags ?? []).map((tag) => `tag ${tag}`)];
  return parts.length ? parts.join(", ") : "all jobs";
}

/** A list as the text of a field: names with commas. */
function list(text: string): string[] {
  return text.split(",").map((part) => part.trim()).filter(Boolean);
}

/** "100 in 1m, 1000 in 1h". */
function rates(queue: { rates?: { limit: number; per: string }[]; spread?: boolean }): string {
  const all = (queue.rates ?? []).map((rate) => `${rate.limit} in ${rate.per}`).join(", ");
  return queue.spread ? `${all}, spread` : all;
}

export function Queues() {
  const who = useWho();
  const again = useAgain();
  const { data, error, isPending, refetch } = useQuery({
    queryKey: ["queues"],
    queryFn: () => take(api.GET("/queues")),
    refetchInterval: 5_000,
  });
  const [name, setName] = useState("");
  const [most, setMost] = useState("4");
  if (isPending) return <Skeleton />;
  if (!data) return <Fault error={error} again={() => void refetch()} />;
  const path = (name: string) => ({ params: { path: { name } } });
  const put = () => take(api.PUT("/queues/{name}", { ...path(name), body: { concurrency: Number(most) } })).then(again);
  const pause = (name: string, paused: boolean) =>
    take(api.PATCH("/queues/{name}", { ...path(name), body: { paused } as never })).then(again);
  return (
    <>
      <Head title="Queues" about="Runs of the jobs that name a queue share its places and its rates, over the whole cluster.">
        {may(who, "admin") && (
          <Ask label="Set a limit" title="Set the limit of a queue" same={{ method: "PUT", path: `/queues/${encodeURIComponent(name)}`, body: { concurrency: Number(most) }, cli: `cronapi queue set ${quoted(name || "NAME")} ${most}` }} act={put}>
            <label>
              Queue <input value={name} onChange={(event) => setName(event.target.value)} required />
            </label>
            <label>
              Attempts at a time <input type="number" min="1" max="1000" value={most} onChange={(event) => setMost(event.target.value)} />
            </label>
          </Ask>
        )}
      </Head>
      <table>
        <thead>
          <tr>
            <th>queue</th>
            <th className="right">busy</th>
            <th className="right">at a time</th>
            <th className="hide">rates</th>
            <th className="right">waiting</th>
            <th className="fill">why nothing moves</th>
            <th />
          </tr>
        </thead>
        <tbody>
          {data.items.map((queue) => (
            <tr key={queue.name}>
              <td className="name">{queue.name}</td>
              <td className="right">{queue.busy}</td>
              <td className="right">{queue.concurrency ?? "no limit"}</td>
              <td className="hide">{rates(queue)}</td>
              <td className="right">
                <Link to="/runs" search={{ status: "waiting" }}>{queue.waiting ?? 0}</Link>
              </td>
              <td className="fill">
                {queue.blocked ?? (queue.waiting ? "waits for a slot" : "")}
                {(queue.shares ?? []).slice(0, 5).map((share) => (
                  <span key={share.share} className="dim"> · {share.share || "(none)"}: {share.waiting}</span>
                ))}
              </td>
              <td className="right acts">
                {may(who, "admin") && (
                  <>
                    <button type="button" onClick={() => void pause(queue.name, !queue.paused)}>{queue.paused ? "Resume" : "Pause"}</button>
                    <Ask label="Remove" title={`Remove the rules of ${queue.name}`} same={{ method: "DELETE", path: `/queues/${queue.name}`, cli: `cronapi queue unset ${queue.name}` }} danger act={() => take(api.DELETE("/queues/{name}", path(queue.name))).then(again)}>
                      <p>What waits for a place there may start at once, as far as slots allow.</p>
                    </Ask>
                  </>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {data.items.length === 0 && <p className="dim">No queue has a limit. A job names one with the field queue.</p>}
      <Lanes />
    </>
  );
}

export function Secrets() {
  const who = useWho();
  const again = useAgain();
  const { data, error, isPending, refetch } = useQuery({ queryKey: ["secrets"], queryFn: () => take(api.GET("/secrets")) });
  const [name, setName] = useState("");
  const [value, setValue] = useState("");
  const [jobs, setJobs] = useState("");
  if (isPending) return <Skeleton />;
  if (!data) return <Fault error={error} again={() => void refetch()} />;
  const put = () =>
    take(api.PUT("/secrets/{name}", { params: { path: { name } }, body: { value, scope: { jobs: list(jobs), tags: [] } } as never })).then(() => {
      setValue("");
      return again();
    });
  return (
    <>
      <Head title="Secrets" about="Named in env and headers as {&quot;secret&quot;: &quot;name&quot;}; a value is never shown again.">
        {may(who, "admin") && (
          <Ask label="Give a secret" title="Give a secret its value" same={{ method: "PUT", path: `/secrets/${encodeURIComponent(name)}`, body: { value: "…", scope: { jobs: list(jobs), tags: [] } }, cli: `cronapi secret set ${quoted(name || "NAME")}${jobs.trim() ? ` --jobs ${quoted(jobs.trim())}` : " --all-jobs"}` }} act={put}>
            <label>
              Name <input value={name} onChange={(event) => setName(event.target.value)} required />
            </label>
            <label>
              Value <input type="password" autoComplete="new-password" value={value} onChange={(event) => setValue(event.target.value)} required />
            </label>
            <label>
              For the jobs (patterns with commas; empty: all) <input value={jobs} onChange={(event) => setJobs(event.target.value)} />
            </label>
          </Ask>
        )}
      </Head>
      <table>
        <thead>
          <tr>
            <th>secret</th>
            <th>for</th>
            <th className="right">version</th>
            <th>changed</th>
            <th>by</th>
            <th />
          </tr>
        </thead>
        <tbody>
          {data.items.map((secret) => (
            <tr key={secret.name}>
              <td className="name">{secret.name}</td>
              <td className="dim fill">{scope(secret.scope)}</td>
              <td className="right">{secret.version}</td>
              <td>
                <When at={secret.updated_at} past />
              </td>
              <td className="dim">{secret.updated_by}</td>
              <td className="right">
                {may(who, "admin") && (
                  <Ask label="Delete" title={`Delete the secret ${secret.name}`} same={{ method: "DELETE", path: `/secrets/${secret.name}`, cli: `cronapi secret delete ${secret.name}` }} danger confirm={secret.name} act={() => take(api.DELETE("/secrets/{name}", { params: { path: { name: secret.name } } })).then(again)}>
                    <p>Runs that need it fail from then on, and say so.</p>
                  </Ask>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {data.items.length === 0 && <p className="dim">There are no secrets.</p>}
    </>
  );
}

export function Audit() {
  const search = useSearch({ from: "/in/audit" });
  const go = useNavigate({ from: "/audit" });
  const found = useInfiniteQuery({
    queryKey: ["audit", search],
    queryFn: ({ pageParam }) => take(api.GET("/audit", { params: { query: { ...search, limit: 100, cursor: pageParam ?? undefined } } })),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    placeholderData: (old) => old,
  });
  const records = found.data?.pages.flatMap((page) => page.items) ?? [];
  const field = (name: "actor" | "action" | "target") => (
    <label>
      {name}{" "}
      <input
        data-search={name === "actor" || undefined}
        defaultValue={search[name] ?? ""}
        onKeyDown={(event) => event.key === "Enter" && event.currentTarget.blur()}
        onBlur={(event) => void go({ search: (old) => ({ ...old, [name]: event.target.value.trim() || undefined }) })}
      />
    </label>
  );
  return (
    <>
      <Head title="Audit" about="Every write, login and denial, each with the hash of the one before." />
      <div className="filters" role="search">
        {field("actor")}
        {field("action")}
        {field("target")}
      </div>
      {found.error && <Fault error={found.error} again={() => void found.refetch()} />}
      {found.isPending && <Skeleton rows={10} />}
      <table>
        <thead>
          <tr>
            <th>when</th>
            <th>who</th>
            <th>what</th>
            <th className="fill">to what</th>
            <th className="hide">from</th>
          </tr>
        </thead>
        <tbody>
          {records.map((record) => (
            <tr key={record.seq}>
              <td>{absolute(record.at)}</td>
              <td className="name">{record.actor}</td>
              <td>{record.action}</td>
              <td className="fill">
                <details>
                  <summary>
                    {record.target}
                    {reasonOf(record.change) && <span className="dim">: {reasonOf(record.change)}</span>}
                  </summary>
                  <pre>{JSON.stringify(record.change, null, 2)}</pre>
                  <p className="dim">request {record.request_id}, record {record.seq}</p>
                </details>
              </td>
              <td className="dim hide">{record.from}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {found.hasNextPage && (
        <button type="button" onClick={() => void found.fetchNextPage()}>
          Older records
        </button>
      )}
    </>
  );
}

const ROLES = ["viewer", "runner", "operator", "admin"] as const;

export function Users() {
  const again = useAgain();
  const { data, error, isPending, refetch } = useQuery({ queryKey: ["users"], queryFn: () => take(api.GET("/users")) });
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [role, setRole] = useState<(typeof ROLES)[number]>("viewer");
  const [jobs, setJobs] = useState("");
  if (isPending) return <Skeleton />;
  if (!data) return <Fault error={error} again={() => void refetch()} />;
  const create = () =>
    take(api.POST("/users", { body: { name, password, role, scope: { jobs: list(jobs), tags: [] } } as never })).then(() => {
      setPassword("");
      return again();
    });
  const choose = (
    <label>
      Role{" "}
      <select value={role} onChange={(event) => setRole(ROLES.find((one) => one === event.target.value) ?? "viewer")}>
        {ROLES.map((one) => (
          <option key={one}>{one}</option>
        ))}
      </select>
    </label>
  );
  return (
    <>
      <Head title="Users">
        <Ask label="Add a user" title="Add a user" same={{ method: "POST", path: "/users", body: { name, password: "…", role }, cli: `cronapi user create ${quoted(name || "NAME")} --role ${role}` }} act={create}>
          <label>
            Name <input value={name} onChange={(event) => setName(event.target.value)} required autoComplete="off" />
          </label>
          <label>
            Password <input type="password" autoComplete="new-password" value={password} onChange={(event) => setPassword(event.target.value)} required />
          </label>
          {choose}
          <label>
            For the jobs (patterns with commas; empty: all) <input value={jobs} onChange={(event) => setJobs(event.target.value)} />
          </label>
        </Ask>
      </Head>
      <table>
        <thead>
          <tr>
            <th>user</th>
            <th>role</th>
            <th className="fill">for</th>
            <th className="hide">since</th>
            <th />
          </tr>
        </thead>
        <tbody>
          {data.items.map((user) => (
            <tr key={user.uid}>
              <td className="name">{user.name}</td>
              <td>{user.role}</td>
              <td className="dim fill">{scope(user.scope)}</td>
              <td className="dim hide">
                <When at={user.created_at} past />
              </td>
              <td className="right acts">
                <Ask label="Role" title={`The role of ${user.name}`} same={{ method: "PUT", path: `/users/${user.name}/role`, body: { role, scope: user.scope }, cli: `cronapi user role ${user.name} ${role}` }} act={() => take(api.PUT("/users/{name}/role", { params: { path: { name: user.name } }, body: { role, scope: user.scope } as never })).then(again)}>
                  {choose}
                  <p>It counts at the next request, on every node.</p>
                </Ask>
                <Ask label="End sessions" title={`End the sessions of ${user.name}`} same={{ method: "POST", path: `/users/${user.name}/revoke`, cli: `cronapi user revoke ${user.name}` }} act={() => take(api.POST("/users/{name}/revoke", { params: { path: { name: user.name } } })).then(again)}>
                  <p>Every access and refresh token of {user.name} is refused from then on.</p>
                </Ask>
                <Ask label="Delete" title={`Delete the user ${user.name}`} same={{ method: "DELETE", path: `/users/${user.name}`, cli: `cronapi user delete ${user.name}` }} danger confirm={user.name} act={() => take(api.DELETE("/users/{name}", { params: { path: { name: user.name } } })).then(again)}>
                  <p>Its sessions and API tokens end. What it did stays in the audit.</p>
                </Ask>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}

export function Tokens() {
  const again = useAgain();
  const { data, error, isPending, refetch } = useQuery({ queryKey: ["tokens"], queryFn: () => take(api.GET("/tokens")) });
  const [name, setName] = useState("");
  const [role, setRole] = useState<(typeof ROLES)[number]>("viewer");
  const [made, setMade] = useState<string | null>(null);
  if (isPending) return <Skeleton />;
  if (!data) return <Fault error={error} again={() => void refetch()} />;
  const create = () =>
    take(api.POST("/tokens", { body: { name, role } as never })).then((answer) => {
      setMade((answer as unknown as { token: string }).token);
      return again();
    });
  return (
    <>
      <Head title="API tokens" about="For programs. Each does at most what its owner may.">
        <Ask label="Make a token" title="Make an API token" same={{ method: "POST", path: "/tokens", body: { name, role }, cli: `cronapi token create ${quoted(name || "NAME")} --role ${role}` }} act={create}>
          <label>
            Name <input value={name} onChange={(event) => setName(event.target.value)} required />
          </label>
          <label>
            Role{" "}
            <select value={role} onChange={(event) => setRole(ROLES.find((one) => one === event.target.value) ?? "viewer")}>
              {ROLES.map((one) => (
                <option key={one}>{one}</option>
              ))}
            </select>
          </label>
        </Ask>
      </Head>
      {made && (
        <p className="fault good" role="status">
          The token, shown this once: <code>{made}</code> <Copy text={made}>copy</Copy>
          <button type="button" className="quiet" onClick={() => setMade(null)}>
            hide
          </button>
        </p>
      )}
      <table>
        <thead>
          <tr>
            <th>token</th>
            <th>owner</th>
            <th>role</th>
            <th className="fill">for</th>
            <th>last used</th>
            <th>ends</th>
            <th />
          </tr>
        </thead>
        <tbody>
          {data.items.map((token) => (
            <tr key={token.id}>
              <td className="name">{token.name}</td>
              <td>{token.owner}</td>
              <td>{token.role}</td>
              <td className="dim fill">{scope(token.scope)}</td>
              <td>
                <When at={token.last_used_at} past />
              </td>
              <td>{token.expires_at ? <When at={token.expires_at} /> : "never"}</td>
              <td className="right">
                <Ask label="Delete" title={`Delete the token ${token.name}`} same={{ method: "DELETE", path: `/tokens/${token.id}`, cli: `cronapi token delete ${token.id}` }} danger act={() => take(api.DELETE("/tokens/{id}", { params: { path: { id: token.id } } })).then(again)}>
                  <p>What uses it is refused from then on.</p>
                </Ask>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {data.items.length === 0 && <p className="dim">There are no API tokens.</p>}
    </>
  );
}

/** Why somebody did it, where it was said. */
function reasonOf(change: unknown): string {
  const said = (change as { reason?: unknown } | null)?.reason;
  return typeof said === "string" ? said : "";
}
