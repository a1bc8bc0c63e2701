// The calendar: what was and what is to come of all jobs together, a cell an hour (or, of a day, five
// minutes). Past cells tell how runs ended, coming ones how much starts at once.

import { keepPreviousData, useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { memo, useEffect, useMemo, useState } from "react";

import { type Schema, api, take } from "../api/client";
import { useNow } from "../model/now";
import { absolute, clock, span, zone } from "../model/time";
import { addDays, begin, day, dayName, iso, wall } from "../model/zones";
import { Ask, Fault, Head, Skeleton, Status } from "../parts/small";
import { may } from "../session";
import { useWho } from "../who";
import "./calendar.css";

export const CALENDAR_VIEWS = ["day", "week", "month"] as const;
export type CalendarSearch = { view?: (typeof CALENDAR_VIEWS)[number]; date?: string; at?: string; bad?: boolean };

type Shape = { days: number; bucket: number; columns: number };
const HOUR = 3_600_000;
const SHAPES: Record<(typeof CALENDAR_VIEWS)[number], Shape> = {
  day: { days: 1, bucket: 300_000, columns: 12 },
  week: { days: 7, bucket: HOUR, columns: 24 },
  month: { days: 28, bucket: HOUR, columns: 24 },
};
/** On a phone cells are as large as a thumb. */
const PHONE: typeof SHAPES = {
  day: { days: 1, bucket: 600_000, columns: 6 },
  week: SHAPES.week,
  month: { days: 28, bucket: 4 * HOUR, columns: 6 },
};
const onPhone = () => typeof matchMedia === "function" && matchMedia("(max-width: 700px)").matches;

type Box = { at: number; until: number; succeeded: number; failed: number; other: number; busy: number; coming: number };

export function Calendar() {
  const search = useSearch({ from: "/in/calendar" });
  const go = useNavigate({ from: "/calendar" });
  const view = search.view ?? "week";
  const [phone] = useState(onPhone);
  const shape = (phone ? PHONE : SHAPES)[view];
  const today = day(Date.now());
  const first = search.date ?? (view === "day" ? today : view === "week" ? addDays(today, -2) : addDays(today, -14));
  const from = begin(first);
  const until = begin(addDays(first, shape.days));
  const { boxes, slots, carries, estimated, error, pending, ended, reading, peak } = useBoxes(from, until, shape.bucket);
  const set = (change: Partial<CalendarSearch>) => void go({ search: (old) => ({ ...old, ...change }) });
  const title = view === "day" ? dayName(first, { weekday: "long", day: "numeric", month: "long", year: "numeric" }) : `${dayName(first)} to ${dayName(addDays(first, shape.days - 1), { weekday: "short", day: "numeric", month: "short", year: "numeric" })}`;
  return (
    <>
      <Head
        title="Calendar"
        about={
          <>
            {title}, {zone()}
            {reading && <span data-counting> · counting on</span>}
          </>
        }
      >
        <span className="group" role="group" aria-label="How much time">
          {CALENDAR_VIEWS.map((one) => (
            <button key={one} type="button" aria-pressed={one === view} onClick={() => set({ view: one === "week" ? undefined : one, date: undefined, at: undefined })}>
              {one === "month" ? "4 weeks" : one}
            </button>
          ))}
        </span>
        <span className="group" role="group" aria-label="Move">
          <button type="button" aria-label="Earlier" onClick={() => set({ date: addDays(first, -shape.days), at: undefined })}>
            ←
          </button>
          <button type="button" onClick={() => set({ date: undefined, at: undefined })}>
            today
          </button>
          <button type="button" aria-label="Later" onClick={() => set({ date: addDays(first, shape.days), at: undefined })}>
            →
          </button>
        </span>
        <label className="row">
          <input type="checkbox" checked={!!search.bad} onChange={(event) => set({ bad: event.target.checked || undefined })} /> failures only
        </label>
      </Head>
      {!pending && !(error && boxes.size === 0) && <Sentence boxes={boxes} ended={ended} carries={carries} bucket={shape.bucket} peak={peak} />}
      {error && <Fault error={error} />}
      {pending ? (
        <Skeleton rows={10} />
      ) : (
        <Map boxes={boxes} view={view} first={first} shape={shape} turned={phone && view === "week"} bad={!!search.bad} chosen={search.at} carries={carries} choose={(at) => set({ at })} into={(date) => set({ view: "day", date, at: undefined })} />
      )}
      <Legend carries={carries} slots={slots} estimated={estimated} />
      {search.at && <Behind key={search.at} at={search.at} box={boxes.get(Date.parse(search.at))} bucket={shape.bucket} slots={slots} close={() => set({ at: undefined })} />}
    </>
  );
}

/** Counts of a range, read part by part until all of it is there. */
function useCounts(from: number, until: number, bucket: number, fresh: boolean) {
  const query = useInfiniteQuery({
    queryKey: ["counts", from, until, bucket],
    queryFn: ({ pageParam, signal }) =>
      take(api.GET("/activity", { params: { query: { from: iso(from), until: pageParam, bucket: `${bucket / 1000}s` } }, signal })),
    initialPageParam: iso(until),
    getNextPageParam: (page) => (Date.parse(page.complete_from) > from ? page.complete_from : undefined),
    enabled: until > from,
    placeholderData: fresh ? keepPreviousData : undefined,
    staleTime: fresh ? 5_000 : Infinity,
    refetchInterval: fresh ? 15_000 : false,
    meta: { live: false },
  });
  const { hasNextPage, isFetching, fetchNextPage } = query;
  useEffect(() => {
    if (hasNextPage && !isFetching) void fetchNextPage();
  }, [hasNextPage, isFetching, fetchNextPage]);
  return query;
}

function useBoxes(from: number, until: number, bucket: number) {
  const minute = Math.floor(useNow() / 60_000) * 60_000;
  // What is over does not change; the bucket of now does.
  const edge = Math.min(until, Math.max(from, from + Math.floor((minute - from) / bucket) * bucket));
  const over = useCounts(from, edge, bucket, false);
  const recent = useCounts(edge, Math.min(until, Math.max(edge, minute + 120_000)), bucket, true);
  const load = useQuery({
    queryKey: ["load", edge, until, bucket],
    queryFn: ({ signal }) => take(api.GET("/load", { params: { query: { from: iso(edge), until: iso(until), bucket: `${bucket / 1000}s` } }, signal })),
    enabled: until > edge,
    staleTime: 10_000,
    refetchInterval: 30_000,
    placeholderData: keepPreviousData,
    meta: { live: false },
  });
  const boxes = useMemo(() => {
    const all = new globalThis.Map<number, Box>();
    const box = (at: number) => {
      // The recent part begins at an edge of its own: the same buckets.
      let found = all.get(at);
      if (!found) all.set(at, (found = { at, until: at + bucket, succeeded: 0, failed: 0, other: 0, busy: 0, coming: 0 }));
      return found;
    };
    for (const page of [...(over.data?.pages ?? []), ...(recent.data?.pages ?? [])]) {
      for (const one of page.buckets) {
        const into = box(Date.parse(one.at));
        into.succeeded += one.succeeded;
        into.failed += one.failed;
        into.other += one.other;
        into.busy += one.busy_ms;
      }
    }
    if (until > edge) for (const one of load.data?.buckets ?? []) box(Date.parse(one.at)).coming += one.fires;
    return all;
  }, [over.data, recent.data, load.data, bucket, until, edge]);
  const peak = useMemo(() => [...boxes.values()].reduce<Box | null>((most, one) => (one.coming > (most?.coming ?? 0) ? one : most), null), [boxes]);
  // What the slots can carry in a bucket, at the mean of what runs took here.
  let [ran, busy] = [0, 0];
  for (const one of boxes.values()) [ran, busy] = [ran + one.succeeded + one.failed, busy + one.busy];
  const mean = ran > 0 ? busy / ran : 0;
  // What is not known yet carries nothing: it is not said.
  const slots = load.data?.slots ?? 0;
  return {
    boxes,
    peak,
    carries: mean > 0 && slots > 0 ? { starts: (slots * bucket) / mean, mean } : null,
    slots,
    estimated: load.data?.estimated ?? 0,
    error: over.error ?? recent.error ?? load.error,
    // What came first is shown; the rest is said to be counted.
    pending: boxes.size === 0 && (over.isLoading || load.isLoading),
    ended: !over.isLoading,
    reading: over.isFetching || load.isLoading,
  };
}

type Carries = { starts: number; mean: number } | null;

type Said = { boxes: globalThis.Map<number, Box>; ended: boolean; carries: Carries; bucket: number; peak: Box | null };

function Sentence({ boxes, ended, carries, bucket, peak }: Said) {
  let ran = 0;
  let failed = 0;
  let coming = 0;
  for (const one of boxes.values()) {
    ran += one.succeeded + one.failed + one.other;
    failed += one.failed;
    coming += one.coming;
  }
  const many = (n: number, one: string) => `${n.toLocaleString("en")} ${n === 1 ? one : `${one}s`}`;
  return (
    <p className="say">
      {ran > 0 ? (
        <>
          {many(ran, "run")} ended{failed > 0 ? <>, <span className="bad">{failed.toLocaleString("en")} failed</span></> : ", none failed"}.{" "}
        </>
      ) : (
        ended && "Nothing ended here. "
      )}
      {coming > 0 && (
        <>
          {many(coming, "fire")} to come
          {peak && peak.coming > 1 && (
            <>
              , the most in {span(bucket)} at {clock(peak.at).slice(0, -3)}: <span className={crowded(peak, carries) ? "warn" : undefined}>{peak.coming.toLocaleString("en")}</span>
            </>
          )}
          .
        </>
      )}
    </p>
  );
}

/** More is to start than the slots can carry, if runs go on to take what they took. */
function crowded(box: Box, carries: Carries): boolean {
  return !!carries && box.coming > carries.starts;
}

type MapProps = {
  boxes: globalThis.Map<number, Box>;
  view: (typeof CALENDAR_VIEWS)[number];
  first: string;
  shape: Shape;
  /** Days side by side, hours under each other. */
  turned: boolean;
  bad: boolean;
  chosen: string | undefined;
  carries: Carries;
  choose: (at: string) => void;
  into: (date: string) => void;
};

/** Rows are days, or the hours of one day. Columns are hours, or the parts of an hour. */
const Map = memo(function Map({ boxes, view, first, shape, turned, bad, chosen, carries, choose, into }: MapProps) {
  const now = Date.now();
  const values = [...boxes.values()];
  const counts = values.map((one) => (bad ? one.failed : one.succeeded + one.failed + one.other + one.coming)).filter((count) => count > 0);
  const [least, most] = counts.length ? [counts.reduce((a, b) => Math.min(a, b)), counts.reduce((a, b) => Math.max(a, b))] : [0, 0];
  const rows: { key: string; name: string; title: string; start: number; end: number }[] = [];
  if (view === "day") {
    const end = begin(addDays(first, 1));
    for (let at = begin(first); at < end; at += HOUR) {
      const name = new Date(wall(at)).toISOString().slice(11, 16);
      rows.push({ key: String(at), name, title: name, start: at, end: Math.min(end, at + HOUR) });
    }
  } else {
    for (let n = 0; n < shape.days; n++) {
      const date = addDays(first, n);
      rows.push({ key: date, name: dayName(date), title: dayName(date, { weekday: "long", day: "numeric", month: "long" }), start: begin(date), end: begin(addDays(date, 1)) });
    }
  }
  const step = shape.bucket;
  const columns = Array.from({ length: shape.columns }, (_, n) => (view === "day" ? `:${String((n * step) / 60_000).padStart(2, "0")}` : String((n * step) / HOUR).padStart(2, "0")));
  const keys = (event: React.KeyboardEvent<HTMLTableElement>) => {
    const by = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    const cell = document.activeElement?.closest("td");
    if (!by || !cell) return;
    event.preventDefault();
    const row = cell.parentElement as HTMLTableRowElement;
    const table = row.parentElement as HTMLTableSectionElement;
    const to = table.rows[row.rowIndex - 1 + (by[0] ?? 0)]?.cells[cell.cellIndex + (by[1] ?? 0)];
    to?.querySelector("button")?.focus();
  };
  const cell = (row: (typeof rows)[number], index: number) => {
    const at = row.start + index * step;
    if (at >= row.end) return <td key={at} className="none" />;
    return (
      <td key={at}>
        <Cell box={boxes.get(at)} at={at} bucket={step} least={least} most={most} bad={bad} chosen={chosen !== undefined && Date.parse(chosen) === at} now={now} carries={carries} choose={choose} />
      </td>
    );
  };
  const name = (row: (typeof rows)[number]) =>
    view === "day" ? (
      row.name
    ) : (
      <button type="button" className="quiet" aria-label={`${row.name}, by minutes`} title={row.title} onClick={() => into(row.key)}>
        {row.name.replace(/ \w+$/, "")}
        <span className="hide"> {row.name.split(" ").at(-1)}</span>
      </button>
    );
  const isNow = (row: (typeof rows)[number]) => (now >= row.start && now < row.end ? "now" : undefined);
  const caption = (
    <caption className="unseen">
      {bad ? "Failed runs" : "Runs that ended and fires to come"}, {span(step)} a cell
    </caption>
  );
  return turned ? (
    <table className="map turned" onKeyDown={keys}>
      {caption}
      <thead>
        <tr>
          <td />
          {rows.map((row) => (
            <th key={row.key} scope="col" className={isNow(row)}>
              {name(row)}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {columns.map((hour, index) => (
          <tr key={hour}>
            <th scope="row">{hour}</th>
            {rows.map((row) => cell(row, index))}
          </tr>
        ))}
      </tbody>
    </table>
  ) : (
    <table className={`map ${view}`} onKeyDown={keys}>
      {caption}
      <thead>
        <tr>
          <td />
          {columns.map((column) => (
            <th key={column} scope="col">
              {column}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={row.key} className={isNow(row)}>
            <th scope="row">{name(row)}</th>
            {columns.map((_, index) => cell(row, index))}
          </tr>
        ))}
      </tbody>
    </table>
  );
});

type CellProps = { box: Box | undefined; at: number; bucket: number; least: number; most: number; bad: boolean; chosen: boolean; now: number; carries: Carries; choose: (at: string) => void };

function Cell({ box, at, bucket, least, most, bad, chosen, now, carries, choose }: CellProps) {
  const ran = box ? box.succeeded + box.failed + box.other : 0;
  const coming = box?.coming ?? 0;
  const value = bad ? (box?.failed ?? 0) : ran + coming;
  // Few and many differ by powers: a busy hour must not hide a quiet one.
  const level = value === 0 ? 0 : most < least * 1.5 ? 2 : 1 + Math.round((4 * Math.log(value / least)) / Math.log(most / least));
  const over = box ? crowded(box, carries) : false;
  const kind = bad ? "bad" : ran > 0 ? (box && box.failed === ran ? "bad" : "ok") : coming > 0 ? "plan" : "none";
  const parts = [ran > 0 && `${ran} ended`, box && box.failed > 0 && `${box.failed} failed`, coming > 0 && `${coming} to come`, over && "more than the slots can carry"].filter(Boolean);
  const told = `${clock(at).replace(/:\d\d$/, "")}: ${parts.length ? parts.join(", ") : "nothing"}`;
  return (
    <button
      type="button"
      className={`cell ${kind} l${level}${chosen ? " chosen" : ""}${at <= now && now < at + bucket ? " at-now" : ""}${over ? " over" : ""}`}
      title={told}
      aria-pressed={chosen}
      onClick={() => choose(iso(at))}
    >
      <span>{value > 0 ? short(value) : ""}</span> <span className="unseen">{told}</span>
      {!bad && box && box.failed > 0 && box.failed < ran && <i className="part" aria-hidden style={{ height: `${Math.max(15, (100 * box.failed) / ran)}%` }} />}
    </button>
  );
}

function short(value: number): string {
  if (value < 1000) return String(value);
  return value < 100_000 ? `${(value / 1000).toFixed(value < 10_000 ? 1 : 0)}k` : `${Math.round(value / 1000)}k`;
}

function Legend({ carries, slots, estimated }: { carries: Carries; slots: number; estimated: number }) {
  return (
    <p className="legend map-legend">
      <span><i className="cell ok l3" aria-hidden /> ended</span>
      <span><i className="cell ok l3" aria-hidden><i className="part" style={{ height: "40%" }} /></i> some of them failed</span>
      <span><i className="cell bad l4" aria-hidden /> all failed</span>
      <span><i className="cell plan l3" aria-hidden /> to come</span>
      {carries && (
        <span>
          <i className="cell plan l5 over" aria-hidden /> over {Math.round(carries.starts).toLocaleString("en")}: more than {slots} {slots === 1 ? "slot" : "slots"} can carry, at {span(carries.mean)} a run
        </span>
      )}
      <span className="faint">the number is how many; stronger is more</span>
      {estimated > 0 && <span className="faint">{estimated.toLocaleString("en")} {estimated === 1 ? "job fires" : "jobs fire"} too often to be counted one by one: their pace is carried on</span>}
    </p>
  );
}

type BehindProps = { at: string; box: Box | undefined; bucket: number; slots: number; close: () => void };

/** What is behind a cell: its runs, its coming fires, and what can be done about a crowd. */
function Behind({ at, box, bucket, slots, close }: BehindProps) {
  const who = useWho();
  const from = Date.parse(at);
  const until = from + bucket;
  const runs = useQuery({
    queryKey: ["behind", at, bucket],
    queryFn: ({ signal }) => take(api.GET("/timeline", { params: { query: { from: at, until: iso(until), limit: 200 } }, signal })),
    enabled: !!box && box.succeeded + box.failed + box.other > 0,
    meta: { live: false },
  });
  const fires = useQuery({
    queryKey: ["coming", at, bucket],
    queryFn: ({ signal }) => take(api.GET("/fires", { params: { query: { from: iso(Math.max(from, Math.floor(Date.now() / 1000) * 1000)), until: iso(until), limit: 1000 } }, signal })),
    enabled: until > Date.now(),
    meta: { live: false },
  });
  const ended = (runs.data?.items ?? []).filter((bar) => bar.finished_at);
  const sorted = [...ended].sort((a, b) => Number(isBad(b)) - Number(isBad(a)));
  const jobs = useMemo(() => grouped(fires.data?.items ?? []), [fires.data]);
  const busy = box && slots ? Math.round((100 * box.busy) / (bucket * slots)) : 0;
  return (
    <section className="panel behind" aria-label={`What is behind ${clock(at)}`}>
      <header>
        <h2>
          {clock(from)} to {clock(until)}
        </h2>
        <button type="button" className="quiet" onClick={close}>
          close
        </button>
      </header>
      <p className="sentence">
        {box ? (
          <>
            {box.succeeded + box.failed + box.other > 0 && `${(box.succeeded + box.failed + box.other).toLocaleString("en")} ended, ${box.failed.toLocaleString("en")} of them failed; the slots were busy for ${busy < 1 ? "less than 1" : busy} % of the time. `}
            {box.coming > 0 && `${box.coming.toLocaleString("en")} to come, of ${fires.data?.next_cursor ? "more than " : ""}${jobs.length.toLocaleString("en")} ${jobs.length === 1 ? "job" : "jobs"}.`}
          </>
        ) : (
          "Nothing."
        )}
      </p>
      <Fault error={runs.error ?? fires.error} />
      {sorted.length > 0 && (
        <table className="runs">
          <tbody>
            {sorted.slice(0, 12).map((bar) => (
              <tr key={bar.run_id}>
                <td>
                  <Link to="/runs/$id" params={{ id: bar.run_id }}>
                    {clock(bar.finished_at ?? bar.fired_at)}
                  </Link>
                </td>
                <td className="name fill">
                  <Link to="/jobs/$name" params={{ name: bar.job }}>
                    {bar.job}
                  </Link>
                </td>
                <td>
                  <Status status={bar.status} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {jobs.length > 0 && (
        <table>
          <tbody>
            {jobs.slice(0, 12).map((job) => (
              <tr key={job.name}>
                <td className="name fill">
                  <Link to="/jobs/$name" params={{ name: job.name }}>
                    {job.name}
                  </Link>
                </td>
                <td className="dim">
                  {job.count > 1 ? `${job.count.toLocaleString("en")} times, from ` : ""}
                  <span title={absolute(job.first)}>{clock(job.first)}</span>
                </td>
                <td className="right">{may(who, "operator") && jobs.length > 1 && <Spread job={job.name} />}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {(sorted.length > 12 || jobs.length > 12) && <p className="dim">And {(Math.max(0, sorted.length - 12) + Math.max(0, jobs.length - 12)).toLocaleString("en")} more.</p>}
      <div className="acts">
        <Link className="button" to="/timeline" search={{ from: at, span: bucket / 1000 }}>
          See it on the timeline
        </Link>
      </div>
    </section>
  );
}

function isBad(bar: Schema["Bar"]): boolean {
  return ["failed", "timed_out", "lost"].includes(bar.status);
}

function grouped(items: Schema["ComingFire"][]): { name: string; count: number; first: string }[] {
  const all = new globalThis.Map<string, { name: string; count: number; first: string }>();
  for (const fire of items) {
    const known = all.get(fire.job);
    if (known) known.count++;
    else all.set(fire.job, { name: fire.job, count: 1, first: fire.due_at });
  }
  return [...all.values()];
}

/** A jitter as a ready edit: the job starts at a time of its own within it, always the same. */
function Spread({ job }: { job: string }) {
  const client = useQueryClient();
  const [jitter, setJitter] = useState("5m");
  return (
    <Ask
      label="Spread"
      title={`Give ${job} a jitter`}
      act={() => take(api.PATCH("/jobs/{name}", { params: { path: { name: job } }, body: { jitter } as never })).then(() => client.invalidateQueries())}
    >
      <p>It then starts up to that much after its nominal time, always at the same point, so that jobs of one minute do not start together. Its nominal times stay as they are.</p>
      <label>
        Jitter
        <input value={jitter} onChange={(event) => setJitter(event.target.value)} />
      </label>
    </Ask>
  );
}
