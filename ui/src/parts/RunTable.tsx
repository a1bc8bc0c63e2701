// A list of runs, newest first, that grows as it is scrolled.

import { type UseInfiniteQueryResult, useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import { type Run, api, take } from "../api/client";
import { useNow } from "../model/now";
import { words } from "../model/outcome";
import { short, span } from "../model/time";
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
  const runs = list.data?.pages.flatMap((page) => page.items) ?? [];
  if (list.isPending) return <Skeleton rows={10} />;
  return (
    <>
      {list.error && <Fault error={list.error} again={() => void list.refetch()} />}
      <table className="runs">
        <thead>
          <tr>
            <th>fired</th>
            {withJob && <th>job</th>}
            <th>status</th>
            <th className="right">took</th>
            <th className="hide">why</th>
            <th className="hide right">attempt</th>
            <th>run</th>
          </tr>
        </thead>
        <tbody>
          {runs.map((run) => {
            const began = run.started_at ? Date.parse(run.started_at) : null;
            const ended = run.finished_at ? Date.parse(run.finished_at) : now;
            return (
              <tr key={run.id}>
                <td>
                  <Clock at={run.nominal_time ?? run.fired_at} />
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
                <td className="clip">
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
