// The tasks of a workflow's run as a graph that goes along with it, and as a list that says why.

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useMemo } from "react";

import type { Run, Schema } from "../api/client";
import { type Edge, layout } from "../model/layers";
import { kindOfStatus, words } from "../model/outcome";
import { tasks as tasksQuery } from "../queries";
import { Fault, Skeleton, Status } from "./small";
import "../pages/graph.css";

type Task = Schema["TaskView"];

const [WIDE, HIGH, APART, BELOW] = [150, 36, 210, 50];
const KIND = { success: "on_success", failure: "on_failure", always: "on_finish" } as const;

/** The drawing, as wide as there is room. */
export function TaskGraph({ run }: { run: Run }) {
  const { data } = useQuery(tasksQuery(run.id));
  return data && data.items.length > 0 ? (
    <section className="tasks">
      <Drawing tasks={data.items} />
    </section>
  ) : null;
}

export function TaskList({ run }: { run: Run }) {
  const { data, error, isPending, refetch } = useQuery(tasksQuery(run.id));
  if (isPending) return <Skeleton rows={4} />;
  if (!data) return <Fault error={error} again={() => void refetch()} />;
  return (
    <section className="tasks">
      <h2>Tasks</h2>
      <ol className="graph-list">
        {data.items.map((task) => (
          <li key={task.name}>
            {task.run_id ? (
              <Link to="/runs/$id" params={{ id: task.run_id }} className="name" data-row>
                {task.name}
              </Link>
            ) : (
              <b>{task.name}</b>
            )}{" "}
            <Status status={task.status} />{" "}
            <span className="dim">
              {sub(task)}
              {task.reason ? ` ${task.reason}` : ""}
              {task.made_by ? " (kept from the run before)" : ""}
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}

function edgesOf(tasks: Task[]): Edge[] {
  return tasks.flatMap((task) => task.after.map((after) => ({ from: after.task, to: task.name, kind: KIND[after.on ?? "success"] })));
}

function Drawing({ tasks }: { tasks: Task[] }) {
  // The places depend on the edges alone: they stay while states change.
  const names = tasks.map((task) => task.name).join("\n");
  const edges = JSON.stringify(edgesOf(tasks));
  const drawing = useMemo(() => layout(names.split("\n"), JSON.parse(edges) as Edge[], APART, BELOW), [names, edges]);
  const known = new Map(tasks.map((task) => [task.name, task]));
  const places = new Map(drawing.places.map((place) => [place.name, place]));
  const [wide, high] = [drawing.wide + 20, drawing.high + 20];
  return (
    <div className="graph">
      <svg viewBox={`-10 -10 ${wide} ${high}`} width={wide} height={high} role="group" aria-label={`${tasks.length} tasks`}>
        {drawing.edges.map((edge) => {
          const [a, b] = [places.get(edge.from), places.get(edge.to)];
          if (!a || !b) return null;
          const [x1, y1, x2, y2] = [a.x + WIDE, a.y + HIGH / 2, b.x, b.y + HIGH / 2];
          const bend = Math.max(20, (x2 - x1) / 2);
          return <path key={`${edge.from} ${edge.to}`} className={`edge ${edge.kind}`} d={`M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`} />;
        })}
        {drawing.places.map(({ name, x, y }) => {
          const task = known.get(name);
          if (!task) return null;
          const shape = (
            <>
              <title>{`${name}: ${words(task.status)}${task.reason ? `, ${task.reason}` : ""}`}</title>
              <rect className={`node ${kindOfStatus(task.status)}`} x={x} y={y} width={WIDE} height={HIGH} rx={4} />
              <text x={x + 10} y={y + 15}>
                {name.length > 20 ? `${name.slice(0, 19)}…` : name}
              </text>
              <text className="sub" x={x + 10} y={y + 29}>
                {sub(task) || words(task.status)}
              </text>
            </>
          );
          return task.run_id ? (
            <Link key={name} to="/runs/$id" params={{ id: task.run_id }} data-node={name}>
              {shape}
            </Link>
          ) : (
            <g key={name} data-node={name}>
              {shape}
            </g>
          );
        })}
      </svg>
    </div>
  );
}

function sub(task: Task): string {
  const items = task.items;
  if (!items) return "";
  return `${items.succeeded} of ${items.total} items${items.failed ? `, ${items.failed} not` : ""}`;
}
