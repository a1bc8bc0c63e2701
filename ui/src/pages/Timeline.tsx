// The timeline: the runs of all jobs as bars, by job or by node, past and planned. What is too small to
// be told apart is drawn as one; only lanes that can be seen are in the page.

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type PointerEvent, memo, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";

import { api, take } from "../api/client";
import { type Bar, type Drawn, type Lane, drawn, lanes, ticks } from "../model/lanes";
import { useNow } from "../model/now";
import { WORDS, kindOfStatus, words } from "../model/outcome";
import { absolute, clock, span } from "../model/time";
import { dayName, day, iso, wall } from "../model/zones";
import { Views } from "../parts/Views";
import { Fault, Head, Skeleton, Status } from "../parts/small";
import "./timeline.css";

export type TimelineSearch = { from?: string; span?: number; by?: "job" | "node"; q?: string; list?: boolean };

const MINUTE = 60_000;
const SPANS: [number, string][] = [[5 * MINUTE, "5 m"], [30 * MINUTE, "30 m"], [120 * MINUTE, "2 h"], [12 * 60 * MINUTE, "12 h"], [2 * 1440 * MINUTE, "2 d"], [14 * 1440 * MINUTE, "14 d"]];
const SPAN_USUAL = 30 * MINUTE;
const SPAN_MIN = 10_000;
const SPAN_MAX = 60 * 1440 * MINUTE;
/** Of a window that follows, this part lies ahead. */
const AHEAD = 0.15;
const ROW = 9;
const PAD = 10;
const BARS = 5000;

type Window = { from: number; until: number };

export function Timeline() {
  const search = useSearch({ from: "/in/timeline" });
  const go = useNavigate({ from: "/timeline" });
  const now = useNow();
  const wanted = Math.min(SPAN_MAX, Math.max(SPAN_MIN, (search.span ?? SPAN_USUAL / 1000) * 1000));
  // While it is dragged the window is here; when it is let go, in the address.
  const [held, setHeld] = useState<Window | null>(null);
  const begins = search.from ? Date.parse(search.from) : NaN;
  const follows = Number.isNaN(begins);
  const from = held?.from ?? (follows ? now - wanted * (1 - AHEAD) : begins);
  const until = held?.until ?? from + wanted;
  const settle = useCallback(
    (to: Window | null, size?: number) => {
      setHeld(null);
      const spanned = Math.round((to ? to.until - to.from : (size ?? SPAN_USUAL)) / 1000);
      void go({
        search: (old) => ({ ...old, from: to ? iso(Math.round(to.from / 1000) * 1000) : undefined, span: spanned === SPAN_USUAL / 1000 ? undefined : spanned }),
        replace: true,
      });
    },
    [go],
  );
  const zoom = (by: number) => {
    const size = Math.min(SPAN_MAX, Math.max(SPAN_MIN, (until - from) * by));
    const middle = (from + until) / 2;
    settle(follows ? null : { from: middle - size / 2, until: middle + size / 2 }, size);
  };
  const pan = (by: number) => settle({ from: from + (until - from) * by, until: until + (until - from) * by });
  const by = search.by ?? "job";

  const { bars, fires, activity, error, pending, more } = useWindow(held ?? { from, until }, follows);
  const everything = useMemo(() => lanes(bars, by, Date.now()), [bars, by]);
  const shown = useMemo(() => {
    const q = search.q?.toLowerCase();
    const list = everything.filter((lane) => !q || lane.name.toLowerCase().includes(q));
    if (by === "job") {
      const known = new Map(list.map((lane) => [lane.name, lane]));
      for (const lane of list) lane.planned = [];
      for (const fire of fires) known.get(fire.job)?.planned.push(Date.parse(fire.due_at));
    }
    return list;
  }, [everything, fires, search.q, by]);
  const phone = typeof matchMedia === "function" && matchMedia("(max-width: 480px)").matches;
  const asList = search.list ?? phone;
  return (
    <>
      <Head title="Timeline" about={<Sentence lanes={shown} from={from} until={until} by={by} more={more} />}>
        <span className="group" role="group" aria-label="How much time">
          {SPANS.map(([size, name]) => (
            <button key={name} type="button" aria-pressed={Math.abs(until - from - size) < 1000} onClick={() => settle(follows ? null : { from: (from + until - size) / 2, until: (from + until + size) / 2 }, size)}>
              {name}
            </button>
          ))}
        </span>
        <span className="group" role="group" aria-label="Move">
          <button type="button" aria-label="Earlier" title="Earlier (←)" onClick={() => pan(-0.5)}>←</button>
          <button type="button" aria-label="Zoom out" title="Zoom out (−)" onClick={() => zoom(2)}>−</button>
          <button type="button" aria-label="Zoom in" title="Zoom in (+)" onClick={() => zoom(0.5)}>+</button>
          <button type="button" aria-label="Later" title="Later (→)" onClick={() => pan(0.5)}>→</button>
        </span>
        <button type="button" aria-pressed={follows} onClick={() => settle(null, until - from)}>
          follow now
        </button>
      </Head>
      <div className="filters" role="search">
        <input
          type="search"
          data-search
          placeholder={by === "job" ? "Lanes by name of the job" : "Lanes by node"}
          aria-label="Lanes by name"
          value={search.q ?? ""}
          onChange={(event) => void go({ search: (old) => ({ ...old, q: event.target.value || undefined }), replace: true })}
        />
        <label>
          lanes{" "}
          <select value={by} onChange={(event) => void go({ search: (old) => ({ ...old, by: event.target.value === "node" ? "node" : undefined }) })}>
            <option value="job">jobs</option>
            <option value="node">nodes</option>
          </select>
        </label>
        <label className="row">
          <input type="checkbox" checked={asList} onChange={(event) => void go({ search: (old) => ({ ...old, list: event.target.checked === phone ? undefined : event.target.checked }) })} /> as a list
        </label>
        <Views page="/timeline" />
      </div>
      {error && <Fault error={error} />}
      {pending ? (
        <Skeleton rows={8} />
      ) : asList ? (
        <AsList bars={shown.flatMap((lane) => lane.bars.map((placed) => placed.bar))} from={from} until={until} />
      ) : (
        <Lanes lanes={shown} window={{ from, until }} now={now} activity={activity} hold={setHeld} settle={settle} zoom={zoom} pan={pan} />
      )}
      <Legend />
    </>
  );
}

type Activity = { at: string; succeeded: number; failed: number; other: number };

/** What there is in a window. It is asked for in steps, so that a move of a pixel asks for nothing. */
function useWindow(window: Window, follows: boolean) {
  const size = window.until - window.from;
  const step = 2 ** Math.ceil(Math.log2(size / 4));
  const from = Math.floor(window.from / step) * step;
  const until = (Math.ceil(window.until / step) + 1) * step;
  const now = Date.now();
  const recent = until > now - MINUTE;
  const timeline = useQuery({
    queryKey: ["timeline", from, until],
    queryFn: ({ signal }) => take(api.GET("/timeline", { params: { query: { from: iso(from), until: iso(until), limit: BARS } }, signal })),
    placeholderData: keepPreviousData,
    staleTime: recent ? 1_000 : 600_000,
    // As often as can be seen; many bars less often.
    refetchInterval: (query) => (recent ? Math.max(1_000, size / 1_000, (query.state.data?.items.length ?? 0) * 2) : false),
    meta: { live: false },
  });
  const bucket = Math.max(1, Math.round(size / 120_000));
  const counts = useQuery({
    queryKey: ["activity", from, until, bucket],
    queryFn: ({ signal }) => take(api.GET("/activity", { params: { query: { from: iso(from), until: iso(until), bucket: `${bucket}s` } }, signal })),
    placeholderData: keepPreviousData,
    staleTime: recent ? 5_000 : 600_000,
    refetchInterval: recent ? Math.max(10_000, size / 100) : false,
    meta: { live: false },
  });
  const ahead = useQuery({
    queryKey: ["fires", follows ? Math.floor(now / Math.max(5_000, size / 50)) : 0, until],
    queryFn: ({ signal }) => take(api.GET("/fires", { params: { query: { from: iso(Math.floor(Date.now() / 1000) * 1000), until: iso(until), limit: 1000 } }, signal })),
    enabled: until > now + 1000,
    placeholderData: keepPreviousData,
    meta: { live: false },
  });
  return {
    bars: timeline.data?.items ?? NONE,
    fires: (until > now ? ahead.data?.items : undefined) ?? NO_FIRES,
    activity: counts.data?.buckets ?? NO_COUNTS,
    error: timeline.error,
    pending: timeline.isPending,
    more: !!timeline.data?.next_cursor,
  };
}
const NONE: Bar[] = [];
const NO_FIRES: { job: string; due_at: string }[] = [];
const NO_COUNTS: Activity[] = [];

function Sentence({ lanes: all, from, until, by, more }: { lanes: Lane[]; from: number; until: number; by: string; more: boolean }) {
  let count = 0;
  let bad = 0;
  let open = 0;
  for (const lane of all) {
    for (const one of lane.bars) {
      if (one.from > until || (one.bar.finished_at && one.until < from)) continue;
      count++;
      if (one.kind === "bad") bad++;
      if (!one.bar.finished_at) open++;
    }
  }
  const what = `${count.toLocaleString("en")} ${count === 1 ? "run" : "runs"} of ${all.length.toLocaleString("en")} ${by === "job" ? (all.length === 1 ? "job" : "jobs") : "lanes"}`;
  return (
    <>
      {clock(from)} to {clock(until)}: {what}
      {bad > 0 && <>, <span className="bad">{bad.toLocaleString("en")} failed</span></>}
      {open > 0 && <>, {open} open</>}
      {more && <span className="warn"> · the newest {BARS.toLocaleString("en")} only; zoom in for all</span>}
    </>
  );
}

type LanesProps = {
  lanes: Lane[];
  window: Window;
  now: number;
  activity: Activity[];
  hold: (to: Window | null) => void;
  settle: (to: Window | null, size?: number) => void;
  zoom: (by: number) => void;
  pan: (by: number) => void;
};

function Lanes({ lanes: all, window: { from, until }, now, activity, hold, settle, zoom, pan }: LanesProps) {
  const box = useRef<HTMLDivElement>(null);
  const field = useRef<HTMLDivElement>(null);
  const [wide, setWide] = useState(800);
  useLayoutEffect(() => {
    const element = field.current;
    if (!element) return;
    const measure = () => setWide(Math.max(100, element.clientWidth));
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const rows = useVirtualizer({ count: all.length, getScrollElement: () => box.current, estimateSize: (index) => (all[index]?.rows ?? 1) * ROW + PAD * 2, overscan: 6 });
  useEffect(() => rows.measure(), [all, rows]);
  const scale = wide / (until - from);

  // Dragged sideways it moves; with Ctrl the wheel zooms where the pointer is.
  const drag = useRef<{ x: number; window: Window; moved: boolean } | null>(null);
  const latest = useRef({ from, until });
  latest.current = { from, until };
  // What moves is drawn once a frame, however many events there are.
  const moving = useRef<Window | null>(null);
  const frame = useRef(0);
  const soon = useCallback(
    (to: Window) => {
      moving.current = to;
      frame.current ||= requestAnimationFrame(() => {
        frame.current = 0;
        if (moving.current) hold(moving.current);
      });
    },
    [hold],
  );
  useEffect(() => () => cancelAnimationFrame(frame.current), []);
  const down = (event: PointerEvent) => {
    if (event.button !== 0) return;
    moving.current = null;
    drag.current = { x: event.clientX, window: { from, until }, moved: false };
  };
  const move = (event: PointerEvent) => {
    const begun = drag.current;
    if (!begun) return;
    const by = event.clientX - begun.x;
    if (!begun.moved && Math.abs(by) < 4) return;
    if (!begun.moved) event.currentTarget.setPointerCapture(event.pointerId);
    begun.moved = true;
    const shift = -by / scale;
    soon({ from: begun.window.from + shift, until: begun.window.until + shift });
  };
  const up = () => {
    const begun = drag.current;
    drag.current = null;
    const end = moving.current;
    moving.current = null;
    if (begun?.moved) settle(end ?? latest.current);
  };
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    let due: ReturnType<typeof setTimeout> | undefined;
    const wheel = (event: WheelEvent) => {
      const sideways = event.shiftKey ? event.deltaY : event.deltaX;
      if (!event.ctrlKey && !event.metaKey && Math.abs(sideways) <= Math.abs(event.shiftKey ? 0 : event.deltaY)) return;
      event.preventDefault();
      const { from: a, until: b } = moving.current ?? latest.current;
      let to: Window;
      if (event.ctrlKey || event.metaKey) {
        const by = Math.exp(event.deltaY / 300);
        const size = Math.min(SPAN_MAX, Math.max(SPAN_MIN, (b - a) * by));
        const left = field.current?.getBoundingClientRect().left ?? 0;
        const at = Math.min(1, Math.max(0, (event.clientX - left) / wide));
        const under = a + (b - a) * at;
        to = { from: under - size * at, until: under + size * (1 - at) };
      } else {
        const by = (sideways * (b - a)) / wide;
        to = { from: a + by, until: b + by };
      }
      soon(to);
      clearTimeout(due);
      due = setTimeout(() => {
        const end = moving.current;
        moving.current = null;
        if (end) settle(end);
      }, 200);
    };
    element.addEventListener("wheel", wheel, { passive: false });
    return () => {
      clearTimeout(due);
      element.removeEventListener("wheel", wheel);
    };
  }, [wide, soon, settle]);
  const go = useNavigate();
  const known = useMemo(() => new Map(all.flatMap((lane) => lane.bars.map((placed) => [placed.bar.run_id, placed.bar]))), [all]);
  /** What the pointer is on is told by the tooltip of the whole. */
  const over = (event: PointerEvent) => {
    const on = (event.target as Element).closest<SVGElement>("[data-run]");
    const bar = on && known.get(on.dataset.run ?? "");
    if (box.current) box.current.title = bar ? tell(bar, Number(on.dataset.count ?? 1)) : "";
  };
  const click = (event: React.MouseEvent) => {
    const on = (event.target as Element).closest<SVGElement>("a[data-run]");
    if (!on || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    void go({ to: "/runs/$id", params: { id: on.dataset.run ?? "" } });
  };
  const keys = (event: React.KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = { ArrowLeft: () => pan(-0.25), ArrowRight: () => pan(0.25), "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), "0": () => settle(null, until - from) }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  };
  const marks = ticks(from, until, wide, wall);
  const at = (now - from) * scale;
  const most = Math.max(1, ...activity.map((one) => one.succeeded + one.failed + one.other));
  const bucket = activity.length > 1 ? Math.min(...activity.slice(1).map((one, index) => Date.parse(one.at) - Date.parse(activity[index]?.at ?? one.at))) : (until - from) / 120;
  return (
    <div className="timeline" onKeyDown={keys}>
      <div className="axis">
        <span className="lane-name dim">ended</span>
        <div ref={field} className="field">
          <svg width={wide} height={56} aria-hidden>
            {activity.map((one) => {
              const x = (Date.parse(one.at) - from) * scale;
              const w = Math.max(1, bucket * scale - 1);
              if (x + w < 0 || x > wide) return null;
              const tall = (n: number) => (n / most) * 32;
              return (
                <g key={one.at}>
                  <rect className="ok-soft" x={x} width={w} y={34 - tall(one.succeeded + one.other) - tall(one.failed)} height={tall(one.succeeded + one.other)} />
                  <rect className="bad" x={x} width={w} y={34 - tall(one.failed)} height={tall(one.failed)} />
                </g>
              );
            })}
            {marks.map(({ at: tick, step }) => {
              const x = (tick - from) * scale;
              return (
                <g key={tick}>
                  <line className="rule" x1={x} x2={x} y1={38} y2={56} />
                  <text x={x + 4} y={51}>{label(tick, step)}</text>
                </g>
              );
            })}
          </svg>
        </div>
      </div>
      <div className="scroll" ref={box} onPointerDown={down} onPointerMove={move} onPointerUp={up} onPointerCancel={up} onPointerOver={over} onClick={click}>
        <div role="list" aria-label="Lanes" className="lanes" style={{ height: rows.getTotalSize() }}>
          {rows.getVirtualItems().map((item) => {
            const lane = all[item.index];
            if (!lane) return null;
            return (
              <div key={lane.key} role="listitem" className="lane-row" style={{ transform: `translateY(${item.start}px)`, height: item.size }}>
                <LaneName lane={lane} />
                <LaneBars lane={lane} from={from} until={until} wide={wide} now={lane.bars.some((one) => !one.bar.finished_at) ? now : 0} marks={marks} high={item.size} />
              </div>
            );
          })}
        </div>
        {at >= 0 && at <= wide && (
          <div className="now-line" style={{ transform: `translateX(${at}px)`, height: Math.max(rows.getTotalSize(), 40) }}>
            <span className="unseen">now</span>
          </div>
        )}
        {all.length === 0 && <p className="dim nothing">Nothing ran in this window. Zoom out, or go earlier.</p>}
      </div>
    </div>
  );
}

function label(at: number, step: number): string {
  if (step >= 86_400_000) return dayName(day(at), { day: "numeric", month: "short" });
  const text = new Date(wall(at)).toISOString();
  if (text.slice(11, 19) === "00:00:00") return dayName(day(at));
  return step < 60_000 ? text.slice(11, 19) : text.slice(11, 16);
}

function LaneName({ lane }: { lane: Lane }) {
  const count = lane.bars.length;
  const told = `${lane.name}: ${count} ${count === 1 ? "run" : "runs"}${lane.bad ? `, ${lane.bad} failed` : ""}`;
  const job = lane.bars[0]?.bar.job;
  return lane.name.startsWith("node ") || lane.name === "no node yet" || !job ? (
    <span className="lane-name" title={told}>{lane.name}</span>
  ) : (
    <Link className="lane-name" to="/jobs/$name" params={{ name: job }} data-row aria-label={told} title={told}>
      {lane.name}
    </Link>
  );
}

function tell(bar: Bar, count: number): string {
  if (count > 1) return `${count} runs near ${clock(bar.fired_at)}; zoom in to tell them apart`;
  const from = Date.parse(bar.started_at ?? bar.fired_at);
  const took = span((bar.finished_at ? Date.parse(bar.finished_at) : Date.now()) - from);
  return `${bar.job}: ${words(bar.status)}, ${took}, from ${absolute(from)}${bar.attempts && bar.attempts.length > 1 ? `, ${bar.attempts.length} attempts` : ""}`;
}

type LaneBarsProps = { lane: Lane; from: number; until: number; wide: number; now: number; marks: { at: number }[]; high: number };

const LaneBars = memo(function LaneBars({ lane, from, until, wide, now, marks, high }: LaneBarsProps) {
  const scale = wide / (until - from);
  const all = drawn(lane, from, until, wide, now || Date.now());
  return (
    <svg width={wide} height={high} className="field" role="group" aria-label={`Runs of ${lane.name}`}>
      {marks.map(({ at }) => (
        <line key={at} className="rule" x1={(at - from) * scale} x2={(at - from) * scale} y1={0} y2={high} />
      ))}
      {lane.planned.map((at) => (
        <circle key={at} className="plan" cx={(at - from) * scale} cy={high / 2} r={2} />
      ))}
      {all.map((one) => {
        const y = PAD + one.row * ROW;
        const id = one.bar.run_id;
        if (one.count > 1) {
          return (
            <g key={id} data-run={id} data-count={one.count} aria-hidden>
              {bodies(one, y, from, scale)}
            </g>
          );
        }
        // Thousands of them: plain links, whose clicks are taken where they all end up.
        // Tab stops at those that a finger could tell apart; all of them are in the list.
        const large = one.wide >= 24 && lane.rows === 1;
        return (
          <a key={id} href={`/ui/runs/${id}`} data-run={id} draggable={false} tabIndex={large ? 0 : -1} aria-hidden={large ? undefined : true} aria-label={large ? tell(one.bar, 1) : undefined}>
            {bodies(one, y, from, scale)}
          </a>
        );
      })}
    </svg>
  );
});

/** A bar; of a run that was tried again its attempts, joined by a line. */
function bodies(one: Drawn, y: number, from: number, scale: number) {
  const high = ROW - 2;
  const parts = one.bar.attempts;
  if (parts && parts.length > 1 && one.wide > 6) {
    return (
      <>
        <line className="joined" x1={one.x} x2={one.x + one.wide} y1={y + high / 2} y2={y + high / 2} />
        {parts.map((part, index) => {
          const x = (Date.parse(part.from) - from) * scale;
          const end = part.until ? (Date.parse(part.until) - from) * scale : one.x + one.wide;
          return <rect key={index} className={`bar ${kindOfStatus(part.status)}`} x={x} y={y} width={Math.max(2, end - x)} height={high} rx={1} />;
        })}
      </>
    );
  }
  // Shapes as well as colours: what failed is full, what goes on is open at its end.
  return one.kind === "skip" ? (
    <rect className="bar skip" x={one.x} y={y + high / 2 - 1} width={one.wide} height={2} />
  ) : (
    <rect className={`bar ${one.kind}`} x={one.x} y={one.kind === "bad" ? y - 2 : y} width={one.wide} height={one.kind === "bad" ? high + 4 : high} rx={1} />
  );
}

function AsList({ bars, from, until }: { bars: Bar[]; from: number; until: number }) {
  const now = useNow();
  const fit = bars
    .filter((bar) => Date.parse(bar.fired_at) <= until && (!bar.finished_at || Date.parse(bar.finished_at) >= from))
    .sort((a, b) => Date.parse(b.fired_at) - Date.parse(a.fired_at));
  const [most, setMost] = useState(50);
  const shown = fit.slice(0, most);
  if (shown.length === 0) return <p className="dim">Nothing ran in this window.</p>;
  return (
    <>
    <table className="runs">
      <thead>
        <tr>
          <th>fired</th>
          <th>job</th>
          <th>status</th>
          <th className="right">took</th>
        </tr>
      </thead>
      <tbody>
        {shown.map((bar) => (
          <tr key={bar.run_id}>
            <td>
              <Link to="/runs/$id" params={{ id: bar.run_id }} data-row>
                {clock(bar.fired_at)}
              </Link>
            </td>
            <td className="name">{bar.job}</td>
            <td>
              <Status status={bar.status} />
            </td>
            <td className="right">{bar.started_at ? span((bar.finished_at ? Date.parse(bar.finished_at) : now) - Date.parse(bar.started_at)) : "–"}</td>
          </tr>
        ))}
      </tbody>
    </table>
    {fit.length > most && (
      <button type="button" onClick={() => setMost(most + 100)}>
        {(fit.length - most).toLocaleString("en")} more
      </button>
    )}
    </>
  );
}

function Legend() {
  return (
    <p className="legend timeline-legend">
      {(["ok", "bad", "run", "wait", "skip"] as const).map((kind) => (
        <span key={kind}>
          <svg viewBox="0 0 20 12" aria-hidden>
            {kind === "skip" ? <rect className="bar skip" y={5} width={20} height={2} /> : <rect className={`bar ${kind}`} x={1} y={kind === "bad" ? 0 : 2} width={18} height={kind === "bad" ? 11 : 7} rx={1} />}
          </svg>
          {WORDS[kind]}
        </span>
      ))}
      <span>
        <svg viewBox="0 0 20 12" aria-hidden>
          <circle className="plan" cx={10} cy={6} r={2.5} />
        </svg>
        {WORDS.plan}
      </span>
      <span className="faint">drag or arrow keys to move; Ctrl and the wheel, + and − to zoom; 0 follows now</span>
    </p>
  );
}
