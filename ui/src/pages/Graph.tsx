// What starts what: chains and gates between jobs, drawn in layers; on a phone, or when asked, as a list
// that says the same.

import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo, useRef } from "react";

import { type Schema, api, take } from "../api/client";
import { kindOfStatus, words } from "../model/outcome";
import { type Edge, type Group, groups, layout } from "../model/layers";
import { Views } from "../parts/Views";
import { Fault, Head, Skeleton, Status, When } from "../parts/small";
import "./graph.css";

export type GraphSearch = { job?: string; list?: boolean };
type Node = Schema["GraphJob"];

const WIDE = 168;
const HIGH = 36;
const COLUMN = 252;
const ROW = 52;

const SAYS: Record<Edge["kind"], string> = {
  on_success: "when it succeeds, starts",
  on_failure: "when it fails, starts",
  on_finish: "when it ends, starts",
  dependency: "holds until it has succeeded",
  task: "has the task",
};

export function Graph() {
  const search = useSearch({ from: "/in/graph" });
  const go = useNavigate({ from: "/graph" });
  const { data, error, isPending, refetch } = useQuery({
    queryKey: ["graph", search.job],
    queryFn: ({ signal }) => take(api.GET("/graph", { params: { query: { job: search.job } }, signal })),
    placeholderData: (old) => old,
    staleTime: 2_000,
  });
  const parts = useMemo(() => (data ? groups(data.jobs.map((job) => job.name), data.edges) : []), [data]);
  const nodes = useMemo(() => new Map(data?.jobs.map((job) => [job.name, job])), [data]);
  const phone = typeof matchMedia === "function" && matchMedia("(max-width: 480px)").matches;
  const asList = search.list ?? phone;
  const bad = data?.jobs.filter((job) => job.last_status && kindOfStatus(job.last_status) === "bad").length ?? 0;
  return (
    <>
      <Head
        title="Graph"
        about={
          data && (
            <>
              {data.jobs.length.toLocaleString("en")} {data.jobs.length === 1 ? "job" : "jobs"} in {parts.length.toLocaleString("en")} {parts.length === 1 ? "group" : "groups"}
              {search.job ? ` around ${search.job}` : " that start or hold each other"}
              {bad > 0 && <>, <span className="bad">{bad} failed last</span></>}
              {data.cut && <span className="warn"> · not all: name a job to see what is around it</span>}
            </>
          )
        }
      />
      <div className="filters" role="search">
        <label>
          around the job{" "}
          <input
            data-search
            key={search.job ?? ""}
            defaultValue={search.job ?? ""}
            onKeyDown={(event) => event.key === "Enter" && event.currentTarget.blur()}
            onBlur={(event) => void go({ search: (old) => ({ ...old, job: event.target.value.trim() || undefined }) })}
          />
        </label>
        <label className="row">
          <input type="checkbox" checked={asList} onChange={(event) => void go({ search: (old) => ({ ...old, list: event.target.checked === phone ? undefined : event.target.checked }) })} /> as a list
        </label>
        {search.job && (
          <Link to="/graph" search={{}} className="button">
            all groups
          </Link>
        )}
        <Views page="/graph" />
      </div>
      {error && <Fault error={error} again={() => void refetch()} />}
      {isPending && <Skeleton rows={8} />}
      {data && data.edges.length === 0 && (
        <p className="dim">
          {search.job ? `Nothing starts or holds ${search.job}, and it starts and holds nothing.` : "No job starts or holds another yet."} Write <code>on_success: [other]</code> or <code>dependencies: [other]</code> into a definition.
        </p>
      )}
      {asList ? parts.map((part) => <List key={part.names[0]} part={part} nodes={nodes} />) : parts.map((part) => part.edges.length > 0 && <Drawing key={part.names[0]} part={part} nodes={nodes} chosen={search.job} />)}
      {data && data.edges.length > 0 && !asList && <Legend />}
    </>
  );
}

type PartProps = { part: { names: string[]; edges: Edge[] }; nodes: Map<string, Node>; chosen?: string | undefined };

function Drawing({ part, nodes, chosen }: PartProps) {
  const drawing: Group = useMemo(() => layout(part.names, part.edges, COLUMN, ROW), [part]);
  const at = useMemo(() => new Map(drawing.places.map((place) => [place.name, place])), [drawing]);
  const box = useRef<SVGSVGElement>(null);
  const pad = 14;
  const wide = drawing.wide - (COLUMN - WIDE) + 2 * pad;
  const high = drawing.high - (ROW - HIGH) + 2 * pad + 10;
  /** Arrow keys go along the edges, or to the job above or below. */
  const keys = (event: React.KeyboardEvent) => {
    const name = (document.activeElement as HTMLElement | null)?.dataset?.node;
    const from = name === undefined ? undefined : at.get(name);
    if (!from) return;
    const others = drawing.places.filter((place) => {
      if (event.key === "ArrowRight") return part.edges.some((edge) => edge.from === name && edge.to === place.name);
      if (event.key === "ArrowLeft") return part.edges.some((edge) => edge.to === name && edge.from === place.name);
      if (event.key === "ArrowDown") return place.x === from.x && place.y > from.y;
      return event.key === "ArrowUp" && place.x === from.x && place.y < from.y;
    });
    const to = others.sort((a, b) => Math.abs(a.y - from.y) - Math.abs(b.y - from.y))[0];
    if (!to) return;
    event.preventDefault();
    box.current?.querySelector<SVGElement>(`[data-node="${CSS.escape(to.name)}"]`)?.focus();
  };
  return (
    <div className="graph" tabIndex={-1}>
      <svg ref={box} viewBox={`${-pad} ${-pad} ${wide} ${high}`} width={wide} height={high} role="group" aria-label={`${part.names.length} jobs that start or hold each other`} onKeyDown={keys}>
        <defs>
          {(["on_success", "on_failure", "on_finish", "dependency", "task"] as const).map((kind) => (
            <marker key={kind} id={`end-${kind}`} viewBox="0 0 8 8" refX={7} refY={4} markerWidth={8} markerHeight={8} orient="auto-start-reverse" markerUnits="userSpaceOnUse">
              <path className={`head ${kind}`} d="M0 0 8 4 0 8z" />
            </marker>
          ))}
        </defs>
        {part.edges.map((edge) => {
          const a = at.get(edge.from);
          const b = at.get(edge.to);
          if (!a || !b) return null;
          return (
            <g key={`${edge.from} ${edge.kind} ${edge.to}`}>
              <title>{`${edge.from}: ${SAYS[edge.kind]} ${edge.to}`}</title>
              <path className={`edge ${edge.kind}`} d={way(a, b, drawing.via(edge))} markerEnd={`url(#end-${edge.kind})`} />
            </g>
          );
        })}
        {drawing.places.map(({ name, x, y }) => {
          const node = nodes.get(name);
          const kind = node?.last_status ? kindOfStatus(node.last_status) : "past";
          const told = tell(name, node, part.edges);
          const shape = (
            <>
              <title>{told}</title>
              <rect className={`node ${kind}${node?.known === false ? " unknown" : ""}${chosen === name ? " chosen" : ""}`} x={x} y={y} width={WIDE} height={HIGH} rx={4} />
              <Mark kind={kind} x={x + 14} y={y + HIGH / 2} open={(node?.open_runs ?? 0) > 0} />
              <text x={x + 28} y={y + (sub(node) ? 15 : 22)}>{name.length > 20 ? `${name.slice(0, 19)}…` : name}</text>
              {sub(node) && (
                <text className="sub" x={x + 28} y={y + 28}>
                  {sub(node)}
                </text>
              )}
            </>
          );
          return node?.known === false ? (
            <g key={name} tabIndex={0} role="img" data-node={name} aria-label={told}>
              {shape}
            </g>
          ) : (
            <Link key={name} to="/jobs/$name" params={{ name }} data-node={name} data-row>
              {shape}
            </Link>
          );
        })}
      </svg>
    </div>
  );
}

function sub(node: Node | undefined): string {
  if (!node || !node.known) return "no such job";
  if (node.open_runs > 0) return node.open_runs === 1 ? "1 run open" : `${node.open_runs} runs open`;
  if (!node.enabled) return "paused";
  return node.last_status ? words(node.last_status) : "never ran";
}

/** A mark with the shape of the state. */
function Mark({ kind, x, y, open }: { kind: string; x: number; y: number; open: boolean }) {
  if (open) return <circle className="mark run" cx={x} cy={y} r={4.5} />;
  if (kind === "bad") return <rect className="mark bad" x={x - 5} y={y - 5} width={10} height={10} />;
  if (kind === "ok") return <circle className="mark ok" cx={x} cy={y} r={5} />;
  if (kind === "skip") return <rect className="mark skip" x={x - 5} y={y - 1.5} width={10} height={3} />;
  return <circle className="mark past" cx={x} cy={y} r={2.5} />;
}

function way(a: { x: number; y: number }, b: { x: number; y: number }, via: { x: number; y: number }[]): string {
  const [y1, y2] = [a.y + HIGH / 2, b.y + HIGH / 2];
  if (b.x > a.x) {
    let path = `M${a.x + WIDE} ${y1}`;
    let [x, y] = [a.x + WIDE, y1];
    const to = (nx: number, ny: number) => {
      const bend = Math.max(20, (nx - x) / 2);
      path += `C${x + bend} ${y} ${nx - bend} ${ny} ${nx} ${ny}`;
      [x, y] = [nx, ny];
    };
    for (const point of via) {
      to(point.x, point.y + HIGH / 2);
      path += `H${point.x + WIDE}`;
      x = point.x + WIDE;
    }
    to(b.x - 1, y2);
    return path;
  }
  // A way back goes below.
  const [x1, x2] = [a.x + WIDE / 2, b.x + WIDE / 2];
  const low = Math.max(a.y, b.y) + HIGH + 18;
  return `M${x1} ${a.y + HIGH}C${x1} ${low} ${x2} ${low} ${x2} ${b.y + HIGH + 1}`;
}

function tell(name: string, node: Node | undefined, edges: Edge[]): string {
  const on = edges.filter((edge) => edge.from === name).map((edge) => `${SAYS[edge.kind]} ${edge.to}`);
  return `${name}, ${sub(node)}${on.length ? `; ${on.join("; ")}` : ""}`;
}

function List({ part, nodes }: PartProps) {
  const order = useMemo(() => layout(part.names, part.edges, 1, 1).places.sort((a, b) => a.x - b.x || a.y - b.y), [part]);
  return (
    <ol className="graph-list">
      {order.map(({ name }) => {
        const node = nodes.get(name);
        const on = part.edges.filter((edge) => edge.from === name);
        return (
          <li key={name}>
            {node?.known === false ? (
              <b className="dim">{name}</b>
            ) : (
              <Link to="/jobs/$name" params={{ name }} className="name" data-row>
                {name}
              </Link>
            )}{" "}
            {node?.known && node.last_status ? <Status status={node.last_status} /> : <span className="dim">{sub(node)}</span>}
            {node?.next_fire_at && (
              <span className="dim">
                {" "}
                · next <When at={node.next_fire_at} />
              </span>
            )}
            {on.map((edge) => (
              <div key={edge.kind + edge.to} className={`then ${edge.kind}`}>
                {SAYS[edge.kind]} <b>{edge.to}</b>
              </div>
            ))}
          </li>
        );
      })}
    </ol>
  );
}

function Legend() {
  return (
    <p className="legend graph-legend">
      {(Object.keys(SAYS) as Edge["kind"][]).map((kind) => (
        <span key={kind}>
          <svg viewBox="0 0 28 8" aria-hidden>
            <path className={`edge ${kind}`} d="M0 4H22" />
            <path className={`head ${kind}`} d="M20 0 28 4 20 8z" />
          </svg>
          {words(kind)}
        </span>
      ))}
      <span className="faint">Tab and the arrow keys go along; Enter opens</span>
    </p>
  );
}
