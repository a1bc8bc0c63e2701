// All jobs: found by words, tags and state, each with its strip. The list asks for what is seen.

import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useDeferredValue, useEffect, useMemo, useRef, useState } from "react";

import { type Job, api, take } from "../api/client";
import { JOBS_PAGE, type JobSearch, jobPage, strips } from "../queries";
import { Bulk, counted, useChosen } from "../parts/Bulk";
import { Legend, Strip } from "../parts/Strip";
import { Views } from "../parts/Views";
import { Fault, Head, Skeleton, Status, When } from "../parts/small";
import { may } from "../session";
import { useWho } from "../who";
import { share } from "./Overview";

const ROW = 40;
/** Strips are asked for in groups of this many jobs, so that scrolling asks for each once. */
const GROUP = 25;

export function Jobs() {
  const search = useSearch({ from: "/in/jobs" });
  const go = useNavigate({ from: "/jobs" });
  const who = useWho();
  const [typed, setTyped] = useState(search.q ?? "");
  const q = useDeferredValue(typed);
  useEffect(() => {
    const wanted = q.trim() || undefined;
    if (wanted !== search.q) void go({ search: (old) => ({ ...old, q: wanted }), replace: true });
  }, [q, search.q, go]);

  const list = useInfiniteQuery({
    queryKey: ["jobs", search],
    queryFn: ({ pageParam }) => take(api.GET("/jobs", { params: { query: jobPage(search, pageParam) } })),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    placeholderData: (old) => old,
  });
  const jobs = useMemo(() => list.data?.pages.flatMap((page) => page.items) ?? [], [list.data]);
  const { chosen, toggle, set: choose, clear } = useChosen();
  const set = (change: Partial<JobSearch>) => void go({ search: (old) => ({ ...old, ...change }) });
  return (
    <>
      <Head title="Jobs" about={jobs.length ? `${jobs.length.toLocaleString("en")}${list.hasNextPage ? " and more" : ""}` : undefined}>
        {may(who, "operator") && (
          <Link className="button solid" to="/new">
            Write a job
          </Link>
        )}
      </Head>
      <div className="filters" role="search">
        <input
          type="search"
          data-search
          placeholder="Find by name or description"
          aria-label="Find by name or description"
          value={typed}
          onChange={(event) => setTyped(event.target.value)}
        />
        <input aria-label="Tag" placeholder="tag" defaultValue={search.tag ?? ""} onBlur={(event) => set({ tag: event.target.value.trim() || undefined })} onKeyDown={(event) => event.key === "Enter" && event.currentTarget.blur()} />
        <label>
          state{" "}
          <select
            value={search.enabled == null ? "" : String(search.enabled)}
            onChange={(event) => set({ enabled: event.target.value ? event.target.value === "true" : undefined })}
          >
            <option value="">any</option>
            <option value="true">enabled</option>
            <option value="false">paused</option>
          </select>
        </label>
        <label>
          runner{" "}
          <select value={search.runner ?? ""} onChange={(event) => set({ runner: (event.target.value || undefined) as JobSearch["runner"] })}>
            <option value="">any</option>
            <option>python</option>
            <option>shell</option>
            <option>http</option>
            <option>none</option>
          </select>
        </label>
        <label>
          order{" "}
          <select value={search.sort ?? "name"} onChange={(event) => set({ sort: event.target.value as JobSearch["sort"] })}>
            <option value="name">name</option>
            <option value="next_fire_at">next fire</option>
            <option value="-last_run_at">last run</option>
            <option value="-updated_at">last change</option>
          </select>
        </label>
        <Views page="/jobs" />
      </div>
      {may(who, "runner") && jobs.length > 0 && (
        <Many jobs={jobs} chosen={chosen} all={() => choose(new Set(jobs.map((job) => job.name)))} clear={clear} more={list.hasNextPage} />
      )}
      {list.error && <Fault error={list.error} again={() => void list.refetch()} />}
      {list.isPending ? <Skeleton rows={12} /> : <List jobs={jobs} more={list.hasNextPage} next={() => void list.fetchNextPage()} chosen={may(who, "runner") ? chosen : null} toggle={toggle} />}
      {!list.isPending && jobs.length === 0 && <p className="dim">No job fits. Take a filter away, or write one.</p>}
      <Legend />
    </>
  );
}

type ManyProps = { jobs: Job[]; chosen: ReadonlySet<string>; all: () => void; clear: () => void; more: boolean };

/** What can be done to the chosen jobs at once. */
function Many({ jobs, chosen, all, clear, more }: ManyProps) {
  const who = useWho();
  const picked = jobs.filter((job) => chosen.has(job.name));
  const items = (list: Job[]) => list.map((job) => ({ key: job.name, name: job.name }));
  const on = picked.filter((job) => job.enabled);
  const off = picked.filter((job) => !job.enabled);
  const open = picked.reduce((sum, job) => sum + job.open_runs, 0);
  const path = (name: string) => ({ params: { path: { name } } });
  return (
    <div className="many" role="group" aria-label="The chosen jobs">
      <label className="row">
        <input
          type="checkbox"
          aria-label={`Choose all ${jobs.length} that are listed`}
          checked={picked.length > 0 && picked.length === jobs.length}
          ref={(box) => {
            if (box) box.indeterminate = picked.length > 0 && picked.length < jobs.length;
          }}
          onChange={(event) => (event.target.checked ? all() : clear())}
        />
        {picked.length > 0 ? `${counted(picked.length, "job")} chosen${more && picked.length === jobs.length ? ", of those that are listed so far" : ""}` : "choose all"}
      </label>
      {picked.length > 0 && (
        <>
          <Bulk label="Run" noun="job" items={items(picked)} act={(name) => take(api.POST("/jobs/{name}/run", { ...path(name), body: {} }))} done={clear}>
            <p>Starts {counted(picked.length, "run")} now, with the parameters of the definitions.</p>
          </Bulk>
          {may(who, "operator") && (
            <>
              <Bulk label="Pause" noun="job" items={items(on)} act={(name) => take(api.POST("/jobs/{name}/pause", { ...path(name), body: {} }))} done={clear}>
                <p>
                  Their times are recorded as skipped: paused, until somebody resumes them. {open > 0 ? `${counted(open, "open run")} ${open === 1 ? "goes" : "go"} on.` : ""}
                  {off.length > 0 ? ` ${counted(off.length, "job")} of those chosen ${off.length === 1 ? "is" : "are"} paused already.` : ""}
                </p>
              </Bulk>
              <Bulk label="Resume" noun="job" items={items(off)} act={(name) => take(api.POST("/jobs/{name}/resume", { ...path(name), body: {} }))} done={clear}>
                <p>They fire again from their next nominal times on. The times of the pause stay skipped.</p>
              </Bulk>
              <Bulk label="Delete" noun="job" items={items(picked)} danger act={(name) => take(api.DELETE("/jobs/{name}", path(name)))} done={clear}>
                <p>
                  Ends {counted(picked.length, "schedule")} and cancels {counted(open, "open run")}. Jobs of the same names made later are other ones.
                </p>
              </Bulk>
            </>
          )}
          <button type="button" className="quiet" onClick={clear}>
            choose none
          </button>
        </>
      )}
    </div>
  );
}

type Choice = { chosen: ReadonlySet<string> | null; toggle: (key: string, order: string[], shift: boolean) => void };

function List({ jobs, more, next, chosen, toggle }: { jobs: Job[]; more: boolean; next: () => void } & Choice) {
  const order = useMemo(() => jobs.map((job) => job.name), [jobs]);
  const box = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({ count: jobs.length, getScrollElement: () => box.current, estimateSize: () => ROW, overscan: 12 });
  const items = rows.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (more && last > jobs.length - JOBS_PAGE / 2) next();
  }, [more, last, jobs.length, next]);
  const groups = [...new Set(items.map((item) => Math.floor(item.index / GROUP)))];
  return (
    <div className="scroll" ref={box} tabIndex={-1}>
      <div role="table" aria-label="Jobs" aria-rowcount={jobs.length} style={{ height: rows.getTotalSize(), position: "relative" }}>
        {groups.map((group) => (
          <Group
            key={group}
            jobs={jobs.slice(group * GROUP, (group + 1) * GROUP)}
            first={group * GROUP}
            shown={new Set(items.map((item) => item.index))}
            chosen={chosen}
            toggle={toggle}
            order={order}
          />
        ))}
      </div>
    </div>
  );
}

function Group({ jobs, first, shown, chosen, toggle, order }: { jobs: Job[]; first: number; shown: Set<number>; order: string[] } & Choice) {
  const cells = useQuery(strips(jobs.map((job) => job.name)));
  return jobs.map((job, index) => {
    const at = first + index;
    if (!shown.has(at)) return null;
    const strip = cells.data?.get(job.name);
    return (
      <div key={job.uid} role="row" aria-rowindex={at + 1} className="line" style={{ transform: `translateY(${at * ROW}px)`, height: ROW }}>
        <span role="cell" className="name">
          {chosen && (
            <input
              type="checkbox"
              aria-label={`Choose ${job.name}`}
              checked={chosen.has(job.name)}
              onChange={() => undefined}
              onClick={(event) => toggle(job.name, order, event.shiftKey)}
            />
          )}
          <Link to="/jobs/$name" params={{ name: job.name }} data-row>
            {job.name}
          </Link>
        </span>
        <span role="cell" className="dim hide clip" title={job.expr}>
          {job.schedule_text ?? "no schedule"}
        </span>
        <span role="cell" className="strips">
          <Strip strip={strip} />
        </span>
        <span role="cell" className="dim right hide">
          {share(strip?.succeeded_per_mille)}
        </span>
        <span role="cell" className="right">
          {job.enabled ? job.last_run && job.last_run.status !== "succeeded" && !job.next_fire_at ? <Status status={job.last_run.status} /> : <When at={job.next_fire_at} /> : <span className="pill skip">paused</span>}
        </span>
      </div>
    );
  });
}
