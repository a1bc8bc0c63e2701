// A job: what became of its times, how its runs go, what it is, and what can be done with it.

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { lazy, Suspense, useState } from "react";

import "../parts/parts.css";

import { type Job as Data, api, take } from "../api/client";
import { words } from "../model/outcome";
import { absolute, span } from "../model/time";
import { definition } from "../model/definition";
import { TABS } from "../model/tabs";
import { job as jobQuery, statistics, strips, upcoming } from "../queries";
import { Backfills } from "../parts/Backfills";
import { Explain } from "../parts/Explain";
import { Grid } from "../parts/Grid";
import { RunForm } from "../parts/RunForm";
import { RunTable, useRuns } from "../parts/RunTable";
import { Search } from "../parts/Search";
import { Legend, Strip } from "../parts/Strip";
import { Versions } from "../parts/Versions";
import { AsCommand, Ask, Fault, Head, Skeleton, When, quoted } from "../parts/small";
import { may } from "../session";
import { useWho } from "../who";

const Text = lazy(() => import("../parts/Text"));

export function Job() {
  const { name } = useParams({ from: "/in/jobs/$name" });
  const { at, tab = "runs" } = useSearch({ from: "/in/jobs/$name" });
  const go = useNavigate({ from: "/jobs/$name" });
  const { data, error, isPending, refetch } = useQuery(jobQuery(name));
  const strip = useQuery(strips([name]));
  if (isPending) return <Skeleton rows={8} />;
  if (!data) return <Fault error={error} again={() => void refetch()} />;
  const job = data.value;
  return (
    <>
      <Head
        title={job.name}
        about={
          <>
            {job.schedule_text ?? "No schedule: by hand, by a chain or by dependencies."}
            {job.description ? ` · ${job.description}` : ""}
          </>
        }
      >
        <Acts job={job} etag={data.etag} />
      </Head>
      {error && <Fault error={error} again={() => void refetch()} />}
      <p className="facts">
        {job.enabled ? <>next fire <When at={job.next_fire_at} /></> : <span className="pill skip">paused</span>}
        {job.open_runs > 0 && <span>{job.open_runs} open</span>}
        {job.tags?.map((tag) => (
          <Link key={tag} className="tag" to="/jobs" search={{ tag }}>
            {tag}
          </Link>
        ))}
        {(job.on_success || job.on_failure || job.on_finish || job.dependencies) && (
          <Link to="/graph" search={{ job: name }}>
            in the graph
          </Link>
        )}
        <Link to="/timeline" search={{ q: name }}>
          on the timeline
        </Link>
        {job.unresolved.length > 0 && <span className="warn">names jobs that do not exist: {job.unresolved.join(", ")}</span>}
      </p>
      <div className="wide">
        <Strip strip={strip.data?.get(name)} label />
      </div>
      <Legend />
      {at && <Explain job={name} at={at} close={() => void go({ search: ({ at: _, ...rest }) => rest })} />}
      <Why name={name} />
      <nav className="tabs" aria-label={`About ${name}`}>
        {TABS.map((one) => (
          <Link key={one} to="/jobs/$name" params={{ name }} search={(old: object) => ({ ...old, tab: one })} aria-current={tab === one ? "page" : undefined}>
            {one}
          </Link>
        ))}
      </nav>
      {tab === "runs" && job.tasks && <Grid name={name} tasks={job.tasks.map((task) => task.name)} />}
      {tab === "runs" && <Runs name={name} />}
      {tab === "next" && <Coming name={name} zone={job.timezone ?? "UTC"} />}
      {tab === "figures" && <Figures name={name} />}
      {tab === "definition" && (
        <Suspense fallback={<Skeleton />}>
          <Text value={definition(job)} language="yaml" readOnly label={`The definition of ${name}`} />
        </Suspense>
      )}
      {tab === "search" && <Search name={name} />}
      {tab === "backfills" && <Backfills job={job} />}
      {tab === "versions" && <Versions job={job} etag={data.etag} />}
    </>
  );
}

function Acts({ job, etag }: { job: Data; etag: string | null }) {
  const who = useWho();
  const client = useQueryClient();
  const go = useNavigate();
  const [reason, setReason] = useState("");
  const path = { name: job.name };
  const headers = etag ? { "If-Match": etag } : undefined;
  const again = () => client.invalidateQueries();
  return (
    <>
      {may(who, "runner") && <RunForm job={job} />}
      {may(who, "operator") && job.enabled && (
        <Ask
          label="Pause"
          title={`Pause ${job.name}`}
          same={{ method: "POST", path: `/jobs/${job.name}/pause`, body: reason ? { reason } : {}, cli: `cronapi pause ${job.name}${reason ? ` --reason ${quoted(reason)}` : ""}` }}
          act={() => take(api.POST("/jobs/{name}/pause", { params: { path }, body: reason ? { reason } : {}, headers })).then(again)}
        >
          <p>Its times are recorded as skipped: paused, until somebody resumes it. Runs under way go on{job.open_runs ? ` (${job.open_runs} now)` : ""}.</p>
          <label>
            Reason, for the audit
            <input value={reason} onChange={(event) => setReason(event.target.value)} />
          </label>
        </Ask>
      )}
      {may(who, "operator") && !job.enabled && (
        <Ask label="Resume" title={`Resume ${job.name}`} same={{ method: "POST", path: `/jobs/${job.name}/resume`, body: {}, cli: `cronapi resume ${job.name}` }} act={() => take(api.POST("/jobs/{name}/resume", { params: { path }, body: {}, headers })).then(again)}>
          <p>It fires again from its next nominal time on. The times of the pause stay skipped.</p>
        </Ask>
      )}
      {may(who, "operator") && (
        <Link className="button" to="/jobs/$name/edit" params={path}>
          Edit
        </Link>
      )}
      {may(who, "operator") && (
        <Ask
          label="Delete"
          title={`Delete ${job.name}`}
          same={{ method: "DELETE", path: `/jobs/${job.name}`, cli: `cronapi delete ${job.name}` }}
          danger
          confirm={job.name}
          act={async () => {
            await take(api.DELETE("/jobs/{name}", { params: { path }, headers }));
            await go({ to: "/jobs" });
            await again();
          }}
        >
          <p>
            Ends its schedule{job.open_runs ? ` and cancels ${job.open_runs} open ${job.open_runs === 1 ? "run" : "runs"}` : ""}. A job of the same name made later is another one.
          </p>
        </Ask>
      )}
    </>
  );
}

function Why({ name }: { name: string }) {
  const go = useNavigate({ from: "/jobs/$name" });
  return (
    <form
      className="why"
      onSubmit={(event) => {
        event.preventDefault();
        const text = new FormData(event.currentTarget).get("at");
        const at = text ? new Date(String(text)) : null;
        if (at && !Number.isNaN(at.valueOf())) void go({ search: (old) => ({ ...old, at: at.toISOString().replace(/\.\d+Z$/, "Z") }) });
      }}
    >
      <label>
        Why did it, or did it not, run at <input type="datetime-local" step="1" name="at" />
      </label>
      <button>Explain</button>
      <AsCommand curl={`"$URL/jobs/${name}/explain?at=…"`} cli={`cronapi explain ${name}`} />
    </form>
  );
}

function Runs({ name }: { name: string }) {
  const runs = useRuns({ job: name });
  return <RunTable list={runs} withJob={false} />;
}

function Coming({ name, zone }: { name: string; zone: string }) {
  const { data, error, isPending } = useQuery(upcoming(name, 25));
  if (isPending) return <Skeleton />;
  if (!data) return <Fault error={error} />;
  if (data.items.length === 0) return <p className="dim">Nothing is to come.</p>;
  return (
    <table>
      <thead>
        <tr>
          <th>in</th>
          <th>in your zone</th>
          <th>in {zone}</th>
          <th />
        </tr>
      </thead>
      <tbody>
        {data.items.map((next) => (
          <tr key={next.at}>
            <td>
              <When at={next.at} />
            </td>
            <td>{absolute(next.at)}</td>
            <td>{next.local}</td>
            <td className="dim">{next.off ? "skipped: calendar" : ""}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Figures({ name }: { name: string }) {
  const { data, error, isPending } = useQuery(statistics(name));
  if (isPending) return <Skeleton />;
  if (!data) return <Fault error={error} />;
  if (data.runs === 0) return <p className="dim">No run has ended yet.</p>;
  const rows = [
    ["duration of those that succeeded", data.took_ms],
    ["lateness of the start", data.late_ms],
  ] as const;
  return (
    <>
      <p className="dim">
        Of its newest {data.runs.toLocaleString("en")} runs, since {data.since ? absolute(data.since) : ""}.
      </p>
      <table>
        <thead>
          <tr>
            <th />
            <th className="right">half took at most</th>
            <th className="right">95 of 100</th>
            <th className="right">the most</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(([label, figures]) => (
            <tr key={label}>
              <td>{label}</td>
              <td className="right">{figures ? span(figures.p50) : "–"}</td>
              <td className="right">{figures ? span(figures.p95) : "–"}</td>
              <td className="right">{figures ? span(figures.max) : "–"}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <table>
        <tbody>
          {Object.entries(data.by_status).map(([status, count]) => (
            <tr key={status}>
              <td>{words(status)}</td>
              <td className="right">{count}</td>
              <td className="dim right">{((100 * count) / data.runs).toFixed(1)} %</td>
            </tr>
          ))}
          {Object.entries(data.by_exit_code).map(([code, count]) => (
            <tr key={code}>
              <td className="dim">exit code {code}</td>
              <td className="right">{count}</td>
              <td />
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}
