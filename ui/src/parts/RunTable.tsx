// A list of runs, newest first, that grows as it is scrolled.

import { type UseInfiniteQueryResult, useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import { type Run, api, take } from "../api/client";
import { useNow } from "../model/now";
import { words } from "../model/outcome";
import { short, span } from "../model/time";
import { may } from "../session";
import { useWho } from "../who";
import { Bulk, counted, useChosen } from "./Bulk";
import { Clock, Fault, Skeleton, Status } from "./small";

export type RunSearch = { job?: string; status?: string; trigger?: Run["trigger"]; after?: string; before?: string };

/** What the page calls waiting or failed is several states. */
const GROUPS: Record<string, Run["status"][]> = {
  failed: ["failed", "timed_out", "lost"],
  waiting: ["waiting", "queued"],
  running: ["assigned", "running"],
};

export function useRuns(search: RunSearch) {
  const status = search.status ? (GROUPS[search.status] ?? [search.status as Run["status"]]) : undefined;
  return useInfiniteQuery({
    queryKey: ["runs", search],
    queryFn: ({ pageParam }) =>
      take(api.GET("/runs", { params: { query: { ...search, status, limit: 100, cursor: pageParam ?? undefined } } })),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    placeholderData: (old) => old,
  });
}

type Page = { items: Run[]; next_cursor: string | null };
type List = UseInfiniteQueryResult<{ pages: Page[] }>;

export function RunTable({ list, withJob = true }: { list: List; withJob?: boolean }) {
  const now = useNow();
  const who = useWho();
  const { chosen, toggle, set, clear } = useChosen();
  const runs = list.data?.pages.flatMap((page) => page.items) ?? [];
  if (list.isPending) return <Skeleton rows={10} />;
  return (
    <>
      {list.error && <Fault error={list.error} again={() => void list.refetch()} />}
      {may(who, "operator") && runs.length > 0 && <Many runs={runs} chosen={chosen} all={() => set(new Set(runs.map((run) => run.id)))} clear={clear} />}
      <table className="runs">
        <thead>
          <tr>
            {may(who, "operator") && (
              <td className="choose">
                <span className="unseen">choose</span>
              </td>
            )}
            <th>fired</th>
            {withJob && <th>job</th>}
            <th>status</th>
            <th className="right">took</th>
            <th className="hide">why</th>
            <th className="hide right">attempt</th>
            <th className="hide">run</th>
          </tr>
        </thead>
        <tbody>
          {runs.map((run) => {
            const began = run.started_at ? Date.parse(run.started_at) : null;
            const ended = run.finished_at ? Date.parse(run.finished_at) : now;
            return (
              <tr key={run.id}>
                {may(who, "operator") && (
                  <td className="choose">
                    <input
                      type="checkbox"
                      aria-label={`Choose the run ${short(run.id)} of ${run.job}`}
                      checked={chosen.has(run.id)}
                      onChange={() => undefined}
                      onClick={(event) => toggle(run.id, runs.map((one) => one.id), event.shiftKey)}
                    />
                  </td>
                )}
                <td>
                  <Link to="/runs/$id" params={{ id: run.id }}>
                    <Clock at={run.nominal_time ?? run.fired_at} />
                  </Link>
                </td>
                {withJob && (
                  <td className="name">
                    <Link to="/jobs/$name" params={{ name: run.job }}>
                      {run.job}
                    </Link>
                  </td>
                )}
                <td>
                  <Status status={run.status} />
                </td>
                <td className="right">{began ? span(ended - began) : "–"}</td>
                <td className="dim hide">{words(run.trigger)}</td>
                <td className="dim hide right">{run.attempt || ""}</td>
                <td className="clip hide">
                  <Link to="/runs/$id" params={{ id: run.id }} data-row>
                    {short(run.id)}
                  </Link>{" "}
                  <span className="dim">{run.error ?? run.reason ?? ""}</span>
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {runs.length === 0 && <p className="dim">No run fits.</p>}
      {list.hasNextPage && (
        <button type="button" disabled={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
          Older runs
        </button>
      )}
    </>
  );
}

type ManyProps = { runs: Run[]; chosen: ReadonlySet<string>; all: () => void; clear: () => void };

/** What can be done to the chosen runs at once. */
function Many({ runs, chosen, all, clear }: ManyProps) {
  const picked = runs.filter((run) => chosen.has(run.id));
  const open = picked.filter((run) => !run.finished_at);
  const closed = picked.filter((run) => run.finished_at);
  const items = (list: Run[]) => list.map((run) => ({ key: run.id, name: `${run.job} ${short(run.id)}` }));
  const path = (id: string) => ({ params: { path: { id } } });
  return (
    <div className="many" role="group" aria-label="The chosen runs">
      <label className="row">
        <input
          type="checkbox"
          aria-label={`Choose all ${runs.length} that are listed`}
          checked={picked.length > 0 && picked.length === runs.length}
          ref={(box) => {
            if (box) box.indeterminate = picked.length > 0 && picked.length < runs.length;
          }}
          onChange={(event) => (event.target.checked ? all() : clear())}
        />
        {picked.length > 0 ? `${counted(picked.length, "run")} chosen` : "choose all"}
      </label>
      {picked.length > 0 && (
        <>
          <Bulk label="Cancel" noun="run" items={items(open)} danger act={(id) => take(api.POST("/runs/{id}/cancel", path(id)))} done={clear}>
            <p>
              Their processes get SIGTERM, and SIGKILL after the grace of their jobs.{closed.length > 0 ? ` ${counted(closed.length, "run")} of those chosen ${closed.length === 1 ? "has" : "have"} ended already.` : ""}
            </p>
          </Bulk>
          <Bulk label="Run again" noun="run" items={items(closed)} act={(id) => take(api.POST("/runs/{id}/retry", path(id)))} done={clear}>
            <p>Starts {counted(closed.length, "new run")} with the same parameters, by the present definitions.</p>
          </Bulk>
          <button type="button" className="quiet" onClick={clear}>
            choose none
          </button>
        </>
      )}
    </div>
  );
}
