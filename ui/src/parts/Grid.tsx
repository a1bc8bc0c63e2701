// The last runs of a workflow, one beside the other: a row for each task, a column for each run.

import { useQueries, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import { api, take } from "../api/client";
import { kindOfStatus, words } from "../model/outcome";
import { absolute } from "../model/time";
import { tasks as tasksQuery } from "../queries";

const RUNS = 15;
const [CELL, GAP] = [14, 4];

export function Grid({ name, tasks }: { name: string; tasks: string[] }) {
  const runs = useQuery({
    queryKey: ["grid", name],
    queryFn: () => take(api.GET("/jobs/{name}/runs", { params: { path: { name }, query: { limit: RUNS } } })),
    placeholderData: (old) => old,
  });
  const shown = (runs.data?.items ?? []).filter((run) => run.tasks).reverse();
  const each = useQueries({ queries: shown.map((run) => tasksQuery(run.id)) });
  if (shown.length === 0) return null;
  const wide = shown.length * (CELL + GAP);
  return (
    <section className="task-grid">
      <h2>Tasks of the last runs</h2>
      <table>
        <tbody>
          {tasks.map((task) => (
            <tr key={task}>
              <th scope="row">{task}</th>
              <td>
                <svg width={wide} height={CELL} role="group" aria-label={`${task} in the last ${shown.length} runs`}>
                  {shown.map((run, at) => {
                    const state = each[at]?.data?.items.find((one) => one.name === task);
                    if (!state) return null;
                    return (
                      <Link key={run.id} to="/runs/$id" params={{ id: state.run_id ?? run.id }} aria-label={`${absolute(run.fired_at)}: ${words(state.status)}`}>
                        <title>{`${absolute(run.fired_at)}: ${words(state.status)}${state.reason ? `, ${state.reason}` : ""}`}</title>
                        <rect className={kindOfStatus(state.status)} x={at * (CELL + GAP)} width={CELL} height={CELL} rx={2} />
                      </Link>
                    );
                  })}
                </svg>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
