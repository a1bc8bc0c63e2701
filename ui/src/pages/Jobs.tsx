// All jobs: found by words, tags and state, each with its strip. The list asks for what is seen.

import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useDeferredValue, useEffect, useMemo, useRef, useState } from "react";

import { type Job, api, take } from "../api/client";
import { JOBS_PAGE, type JobSearch, jobPage, strips } from "../queries";
import { Legend, Strip } from "../parts/Strip";
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
      </div>
      {list.error && <Fault error={list.error} again={() => void list.refetch()} />}
      {list.isPending ? <Skeleton rows={12} /> : <List jobs={jobs} more={list.hasNextPage} next={() => void list.fetchNextPage()} />}
      {!list.isPending && jobs.length === 0 && <p className="dim">No job fits. Take a filter away, or write one.</p>}
      <Legend />
    </>
  );
}

function List({ jobs, more, next }: { jobs: Job[]; more: boolean; next: () => void }) {
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
          />
        ))}
      </div>
    </div>
  );
}

function Group({ jobs, first, shown }: { jobs: Job[]; first: number; shown: Set<number> }) {
  const cells = useQuery(strips(jobs.map((job) => job.name)));
  return jobs.map((job, index) => {
    const at = first + index;
    if (!shown.has(at)) return null;
    const strip = cells.data?.get(job.name);
    return (
      <div key={job.uid} role="row" aria-rowindex={at + 1} className="line" style={{ transform: `translateY(${at * ROW}px)`, height: ROW }}>
        <span role="cell" className="name">
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
