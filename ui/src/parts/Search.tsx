// A text looked for in the output of all runs of a job. The server looks; an answer covers so much, and
// goes on from there when asked.

import { useInfiniteQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";

import { api, take } from "../api/client";
import { clock, short } from "../model/time";
import { coloured } from "./Log";
import { AsCommand, Fault, Skeleton, Status } from "./small";

export function Search({ name }: { name: string }) {
  const { q, exact } = useSearch({ from: "/in/jobs/$name" });
  const go = useNavigate({ from: "/jobs/$name" });
  const found = useInfiniteQuery({
    queryKey: ["search", name, q, exact],
    queryFn: ({ pageParam, signal }) =>
      take(api.GET("/jobs/{name}/logs/search", { params: { path: { name }, query: { q: q ?? "", exact, limit: 100, cursor: pageParam ?? undefined } }, signal })),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    enabled: !!q,
    staleTime: 10_000,
    meta: { live: false },
  });
  const pages = found.data?.pages ?? [];
  const hits = pages.flatMap((page) => page.items);
  const runs = pages.reduce((sum, page) => sum + page.runs, 0);
  const bytes = pages.reduce((sum, page) => sum + page.bytes, 0);
  return (
    <>
      <form
        className="filters"
        role="search"
        onSubmit={(event) => {
          event.preventDefault();
          const data = new FormData(event.currentTarget);
          const text = String(data.get("q") ?? "").trim();
          void go({ search: (old) => ({ ...old, q: text || undefined, exact: data.get("exact") ? true : undefined }) });
        }}
      >
        <input type="search" name="q" data-search key={q ?? ""} defaultValue={q ?? ""} maxLength={200} placeholder="A text within a line of output" aria-label="A text within a line of output" autoFocus />
        <label className="row">
          <input type="checkbox" name="exact" defaultChecked={!!exact} /> capitals count
        </label>
        <button>Search</button>
        {q && <AsCommand curl={`"$URL/jobs/${name}/logs/search?q=${encodeURIComponent(q)}"`} cli={`cronapi logs ${name} --grep '${q.replaceAll("'", "'\\''")}'`} />}
      </form>
      <Fault error={found.error} />
      {found.isLoading && <Skeleton rows={4} />}
      {found.data && (
        <p className="dim" role="status">
          {hits.length.toLocaleString("en")} {hits.length === 1 ? "line" : "lines"} in the output of {runs.toLocaleString("en")} {runs === 1 ? "run" : "runs"}, {bytes < 1048576 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / 1048576).toFixed(0)} MiB`} looked through{found.hasNextPage ? " so far" : ""}.
        </p>
      )}
      {hits.length > 0 && (
        <ol className="hits">
          {hits.map((hit, index) => {
            const before = hits[index - 1];
            return (
              <li key={`${hit.run_id} ${hit.attempt} ${hit.seq} ${index}`}>
                {before?.run_id !== hit.run_id && (
                  <h3>
                    <Link to="/runs/$id" params={{ id: hit.run_id }}>
                      {short(hit.run_id)}
                    </Link>{" "}
                    {clock(hit.fired_at)} <Status status={hit.status} />
                  </h3>
                )}
                <Link to="/runs/$id" params={{ id: hit.run_id }} search={{ line: `${hit.attempt}-${hit.seq}`, q }} className={`log-line ${hit.stream}`} data-row>
                  <Marked text={plain(hit.text)} find={q ?? ""} exact={!!exact} />
                </Link>
              </li>
            );
          })}
        </ol>
      )}
      {found.hasNextPage && (
        <button type="button" disabled={found.isFetchingNextPage} onClick={() => void found.fetchNextPage()}>
          Look further back
        </button>
      )}
    </>
  );
}

/** Without the sequences that colour a terminal. */
function plain(text: string): string {
  return coloured(text).map((part) => part.text).join("");
}

export function Marked({ text, find, exact }: { text: string; find: string; exact: boolean }) {
  if (!find) return text;
  const [where, what] = exact ? [text, find] : [text.toLowerCase(), find.toLowerCase()];
  const parts = [];
  let from = 0;
  // Where folding changes lengths the places would be others: the line is shown without marks.
  if (where.length !== text.length) return text;
  for (let at = where.indexOf(what); at >= 0; at = where.indexOf(what, at + what.length)) {
    parts.push(text.slice(from, at), <mark key={at}>{text.slice(at, at + what.length)}</mark>);
    from = at + what.length;
  }
  return [...parts, text.slice(from)];
}
