// A run: where it is and why first, then its output as it comes, its attempts, what it was given.

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";

import { type Run as Data, api, take } from "../api/client";
import { useNow } from "../model/now";
import { kindOfStatus, words } from "../model/outcome";
import { absolute, short, span } from "../model/time";
import { run as runQuery } from "../queries";
import { Log } from "../parts/Log";
import { TaskGraph, TaskList } from "../parts/Tasks";
import { AsCommand, Ask, Clock, Fault, Head, Skeleton, Status } from "../parts/small";
import { may } from "../session";
import { useWho } from "../who";
import "../parts/parts.css";

const OPEN = ["waiting", "queued", "assigned", "running"];

export function Run() {
  const { id } = useParams({ from: "/in/runs/$id" });
  const { line, q } = useSearch({ from: "/in/runs/$id" });
  const { data: run, error, isPending, refetch } = useQuery(runQuery(id));
  if (isPending) return <Skeleton rows={8} />;
  if (!run) return <Fault error={error} again={() => void refetch()} />;
  return (
    <>
      <Head
        title={
          <>
            <Link to="/jobs/$name" params={{ name: run.job }}>
              {run.job}
            </Link>{" "}
            <Status status={run.status} />
          </>
        }
        about={<Sentence run={run} />}
      >
        <Acts run={run} />
      </Head>
      {run.error && <p className="error-text">{run.error}</p>}
      {run.tasks && <TaskGraph run={run} />}
      <div className="columns">
        {/* A workflow writes nothing itself: what was written is with its tasks. */}
        {run.tasks ? <TaskList run={run} /> : <Written run={run} line={line} find={q} />}
        <aside>
          <h2>Run</h2>
          <dl className="facts-list">
            <Row name="id">{run.id}</Row>
            <Row name="why">
              {words(run.trigger)}
              {run.requested_by ? ` by ${run.requested_by}` : ""}
            </Row>
            {run.cause && (
              <Row name="because of">
                <Link to="/runs/$id" params={{ id: run.cause }}>
                  {short(run.cause)}
                </Link>
              </Row>
            )}
            {run.task && (
              <Row name="task">
                {run.task.name}
                {run.task.index != null ? ` ${run.task.index}` : ""} of{" "}
                <Link to="/runs/$id" params={{ id: run.task.flow }}>
                  {short(run.task.flow)}
                </Link>
              </Row>
            )}
            {run.nominal_time && (
              <Row name="nominal">
                <Link to="/jobs/$name" params={{ name: run.job }} search={{ at: run.nominal_time }}>
                  {absolute(run.nominal_time)}
                </Link>
              </Row>
            )}
            <Row name="fired">
              <Clock at={run.fired_at} />
            </Row>
            {run.started_at && (
              <Row name="started">
                <Clock at={run.started_at} />
              </Row>
            )}
            {run.finished_at && (
              <Row name="ended">
                <Clock at={run.finished_at} />
              </Row>
            )}
            <Row name="version">{run.version}</Row>
            {run.node != null && <Row name="node">{run.node}</Row>}
            {run.exit_code != null && <Row name="exit code">{run.exit_code}</Row>}
            {run.http_status != null && <Row name="HTTP status">{run.http_status}</Row>}
          </dl>
          <Attempts run={run} />
          {run.parameters && Object.keys(run.parameters).length > 0 && (
            <>
              <h2>Parameters</h2>
              <pre>{JSON.stringify(run.parameters, null, 2)}</pre>
            </>
          )}
          {run.result != null && (
            <>
              <h2>Result</h2>
              <pre>{JSON.stringify(run.result, null, 2)}</pre>
            </>
          )}
        </aside>
      </div>
    </>
  );
}

function Row({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

function Sentence({ run }: { run: Data }) {
  const now = useNow();
  const began = run.started_at ? Date.parse(run.started_at) : null;
  if (run.status === "running" && began) return <>has run for {span(now - began)}</>;
  if (OPEN.includes(run.status)) return <>{run.reason ?? "waits for a slot"}, for {span(now - Date.parse(run.fired_at))}</>;
  if (began && run.finished_at) return <>took {span(Date.parse(run.finished_at) - began)}{run.reason ? `: ${run.reason}` : ""}</>;
  return <>{run.reason ?? ""}</>;
}

function Acts({ run }: { run: Data }) {
  const who = useWho();
  const client = useQueryClient();
  if (!may(who, "operator")) return null;
  const again = () => client.invalidateQueries();
  return (
    <>
      {run.tasks && <OfTasks key={`tasks of ${run.id}`} run={run} again={again} />}
      <Whole key={run.id} run={run} again={again} />
    </>
  );
}

function Written({ run, line, find }: { run: Data; line: string | undefined; find: string | undefined }) {
  return (
    <section>
      <Log run={run} at={line} find={find} />
      <p className="dim">
        <Link to="/jobs/$name" params={{ name: run.job }} search={{ tab: "search" }}>
          Search in the output of all runs of {run.job}
        </Link>
      </p>
    </section>
  );
}

/** Runs it again, and goes to the new run. */
function useRetry(id: string) {
  const client = useQueryClient();
  const go = useNavigate();
  return async (body?: { from: "failed" }) => {
    const made = await take(api.POST("/runs/{id}/retry", { params: { path: { id } }, body }));
    await client.invalidateQueries();
    await go({ to: "/runs/$id", params: { id: made.id } });
  };
}

/** What can be done with a run of a workflow beside that. */
function OfTasks({ run, again }: { run: Data; again: () => Promise<void> }) {
  const path = { id: run.id };
  const retry = useRetry(run.id);
  if (run.status === "running") {
    const paused = run.reason?.startsWith("paused") ?? false;
    return paused ? (
      <Ask label="Resume" title="Resume this run" same={{ method: "POST", path: `/runs/${run.id}/resume`, cli: `cronapi api POST /runs/${run.id}/resume` }} act={() => take(api.POST("/runs/{id}/resume", { params: { path } })).then(again)}>
        <p>It starts what has waited.</p>
      </Ask>
    ) : (
      <Ask label="Pause" title="Pause this run" same={{ method: "POST", path: `/runs/${run.id}/pause`, cli: `cronapi api POST /runs/${run.id}/pause` }} act={() => take(api.POST("/runs/{id}/pause", { params: { path } })).then(again)}>
        <p>No further task starts. What is under way goes on.</p>
      </Ask>
    );
  }
  if (OPEN.includes(run.status) || run.status === "succeeded") return null;
  return (
    <Ask label="From what failed" title={`Run ${run.job} from what failed on`} same={{ method: "POST", path: `/runs/${run.id}/retry`, body: { from: "failed" }, cli: `cronapi retry --from-failed ${run.id}` }} act={() => retry({ from: "failed" })}>
      <p>A new run. Tasks that succeeded are kept as they were.</p>
    </Ask>
  );
}

function Whole({ run, again }: { run: Data; again: () => Promise<void> }) {
  const path = { id: run.id };
  const retry = useRetry(run.id);
  return OPEN.includes(run.status) ? (
    <Ask label="Cancel" title="Cancel this run" same={{ method: "POST", path: `/runs/${run.id}/cancel`, cli: `cronapi cancel ${run.id}` }} danger act={() => take(api.POST("/runs/{id}/cancel", { params: { path } })).then(again)}>
      <p>Its process gets SIGTERM, and SIGKILL after the grace of its job. What follows a failure is not started.</p>
    </Ask>
  ) : (
    <Ask label="Run again" title={`Run ${run.job} again`} same={{ method: "POST", path: `/runs/${run.id}/retry`, cli: `cronapi retry ${run.id}` }} act={() => retry()}>
      <p>A new run with the same parameters, by the job&rsquo;s present definition. The page goes to it.</p>
    </Ask>
  );
}

function Attempts({ run }: { run: Data }) {
  const attempts = run.attempts ?? [];
  if (attempts.length === 0) return null;
  const first = Date.parse(attempts[0]?.assigned_at ?? run.fired_at);
  const last = run.finished_at ? Date.parse(run.finished_at) : Date.now();
  const whole = Math.max(1, last - first);
  return (
    <>
      <h2>Attempts</h2>
      <ol className="attempts">
        {attempts.map((attempt) => {
          const from = Date.parse(attempt.started_at ?? attempt.assigned_at);
          const to = attempt.finished_at ? Date.parse(attempt.finished_at) : last;
          return (
            <li key={attempt.attempt}>
              <span>
                {attempt.attempt} <Status status={attempt.status} />
              </span>
              <svg viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden>
                <rect className="plan" width="100" height="6" />
                <rect className={kindOfStatus(attempt.status)} x={(100 * (from - first)) / whole} width={Math.max(1, (100 * (to - from)) / whole)} height="6" />
              </svg>
              <span className="dim">
                {span(to - from)}
                {attempt.usage ? `, ${span(attempt.usage.cpu_ms)} of processor, ${(attempt.usage.peak_memory_bytes / 1048576).toFixed(0)} MiB` : ""}
                {attempt.error ? `: ${attempt.error}` : ""}
              </span>
            </li>
          );
        })}
      </ol>
      <AsCommand curl={`$URL/runs/${run.id}`} cli={`cronapi describe run ${run.id.slice(0, 8)}`} />
    </>
  );
}
