// Past times of a job, run on purpose: what a range lacks is shown before anything is begun; what
// was begun is followed, paused, resumed or cancelled.

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { type Job, api, take } from "../api/client";
import type { components } from "../api/schema";
import { absolute } from "../model/time";
import { backfills } from "../queries";
import { may } from "../session";
import { useWho } from "../who";
import { Ask, Fault, Skeleton, When, quoted } from "./small";

type Plan = components["schemas"]["BackfillPlan"];
type View = components["schemas"]["BackfillView"];
type Which = components["schemas"]["BackfillWhich"];

const WORDS: Record<components["schemas"]["Became"], string> = {
  nothing: "never had a run",
  open: "has an open run, or is to be decided",
  succeeded: "succeeded",
  failed: "did not succeed",
  forgotten: "older than what is kept",
};

/** What `datetime-local` gives, in the zone of whoever looks. */
function instant(text: string): string | null {
  const at = new Date(text);
  return text && !Number.isNaN(at.valueOf()) ? at.toISOString() : null;
}

function local(at: Date): string {
  return new Date(at.valueOf() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

export function Backfills({ job }: { job: Job }) {
  const who = useWho();
  const { data, error, isPending, refetch } = useQuery(backfills(job.name));
  if (isPending) return <Skeleton />;
  if (!data) return <Fault error={error} again={() => void refetch()} />;
  return (
    <>
      {may(who, "operator") && job.expr && <Begin job={job} />}
      {data.items.length === 0 ? (
        <p className="dim">No past time of this job was run on purpose.</p>
      ) : (
        <table>
          <thead>
            <tr>
              <th>backfill</th>
              <th>times</th>
              <th>how far</th>
              <th>runs</th>
              <th>began</th>
              <th />
            </tr>
          </thead>
          <tbody>
            {data.items.map((one) => (
              <Row key={one.id} one={one} mayAct={may(who, "operator")} />
            ))}
          </tbody>
        </table>
      )}
    </>
  );
}

function Row({ one, mayAct }: { one: View; mayAct: boolean }) {
  const client = useQueryClient();
  const again = () => client.invalidateQueries();
  const path = { id: one.id };
  const { made, passed, succeeded, failed } = one.counts;
  const open = one.status === "running" || one.status === "paused";
  const same = (act: string) => ({ method: "POST", path: `/backfills/${one.id}/${act}`, body: {}, cli: `cronapi backfill ${one.id} --${act}` });
  return (
    <tr>
      <td>
        {one.id} <span className={`pill${one.status === "running" ? "" : " skip"}`}>{one.status}</span>
      </td>
      <td>
        {absolute(one.from)} to {absolute(one.to)}, {one.which}, version {one.version}
      </td>
      <td>
        <progress max={Math.max(one.total, 1)} value={one.status === "done" ? one.total : made + passed} aria-label={`Backfill ${one.id}`} />{" "}
        {made + passed} of {one.total}
        {one.waits && <div className="dim">{one.status === "running" ? `waits ${one.waits}` : one.waits}</div>}
      </td>
      <td>
        {made} made, {succeeded} succeeded{failed > 0 && <span className="warn">, {failed} failed</span>}
        {one.open > 0 && `, ${one.open} open`}
      </td>
      <td>
        <When at={one.created_at} past /> by {one.created_by}
      </td>
      <td className="acts">
        {mayAct && one.status === "running" && (
          <Ask label="Pause" title={`Pause backfill ${one.id}`} same={same("pause")} act={() => take(api.POST("/backfills/{id}/pause", { params: { path }, body: {} })).then(again)}>
            <p>It makes no more runs until it is resumed. Those that it made go on.</p>
          </Ask>
        )}
        {mayAct && one.status === "paused" && (
          <Ask label="Resume" title={`Resume backfill ${one.id}`} same={same("resume")} act={() => take(api.POST("/backfills/{id}/resume", { params: { path } })).then(again)}>
            <p>It goes on where it stopped.</p>
          </Ask>
        )}
        {mayAct && open && (
          <Ask label="Cancel" title={`Cancel backfill ${one.id}`} danger same={same("cancel")} act={() => take(api.POST("/backfills/{id}/cancel", { params: { path }, body: {} })).then(again)}>
            <p>It ends, and {one.open} open runs of it are stopped. The job itself is not touched.</p>
          </Ask>
        )}
      </td>
    </tr>
  );
}

/** A range is looked at first; what is looked at is what is begun. */
function Begin({ job }: { job: Job }) {
  const client = useQueryClient();
  const now = new Date();
  const [from, setFrom] = useState(local(new Date(now.valueOf() - 86_400_000)));
  const [to, setTo] = useState(local(new Date(now.valueOf() - 60_000)));
  const [which, setWhich] = useState<Which>("missing");
  const [most, setMost] = useState(1);
  const [reason, setReason] = useState("");
  const path = { name: job.name };
  const body = () => ({
    from: instant(from) ?? "",
    to: instant(to) ?? "",
    which,
    max_concurrent: most,
    ...(reason ? { reason } : {}),
  });
  const plan = useMutation({
    mutationFn: () => take(api.POST("/jobs/{name}/backfills", { params: { path, query: { dry_run: true } }, body: body() })) as Promise<Plan>,
  });
  // Another range is another question.
  const changed = <T,>(set: (value: T) => void) => (value: T) => {
    plan.reset();
    set(value);
  };
  const begin = () => take(api.POST("/jobs/{name}/backfills", { params: { path }, body: body() })).then(() => plan.reset());
  return (
    <>
      <form
        className="why"
        onSubmit={(event) => {
          event.preventDefault();
          plan.mutate();
        }}
      >
        <label>
          Times from <input type="datetime-local" step="1" required value={from} onChange={(event) => changed(setFrom)(event.target.value)} />
        </label>
        <label>
          to before <input type="datetime-local" step="1" required value={to} onChange={(event) => changed(setTo)(event.target.value)} />
        </label>
        <label>
          those that{" "}
          <select value={which} onChange={(event) => changed(setWhich)(event.target.value as Which)}>
            <option value="missing">never had a run</option>
            <option value="failed">did not succeed, too</option>
            <option value="all">all</option>
          </select>
        </label>
        <label>
          open at a time <input type="number" min={1} max={100} value={most} onChange={(event) => changed(setMost)(Number(event.target.value))} />
        </label>
        <button disabled={plan.isPending}>Show what is missing</button>
      </form>
      {/* Not within the form: what asks before it begins is a form itself, and one in another is not sent. */}
      <div className="why">
        {plan.error && <Fault error={plan.error} />}
        {plan.data && <Shown plan={plan.data} />}
        {plan.data && plan.data.count > 0 && (
          <Ask
            label={`Run ${plan.data.count.toLocaleString("en")} times`}
            title={`Run past times of ${job.name}`}
            same={{
              method: "POST",
              path: `/jobs/${job.name}/backfills`,
              body: body(),
              cli: `cronapi backfill ${quoted(job.name)} --from ${instant(from)} --to ${instant(to)} --which ${which} --max-concurrent ${most}`,
            }}
            act={() => begin().then(() => client.invalidateQueries())}
          >
            <p>
              {plan.data.count.toLocaleString("en")} runs of version {plan.data.version}, {most} at a time, beside the job's own. Nothing follows from them, and live runs go first.
            </p>
            <label>
              Reason, for the audit
              <input value={reason} onChange={(event) => setReason(event.target.value)} />
            </label>
          </Ask>
        )}
      </div>
    </>
  );
}

function Shown({ plan }: { plan: Plan }) {
  const { already } = plan;
  const kind = (cell: Plan["cells"][number]) => (cell.became === "succeeded" ? "ok" : cell.became === "failed" ? "bad" : cell.became === "open" ? "run" : "skip");
  return (
    <div className="wide" role="status">
      <p>
        Of {plan.total.toLocaleString("en")} times, {plan.count.toLocaleString("en")} would be run. {already.fired} succeeded, {already.failed} did not, {already.missing} never had a run, {already.open} are open, {already.forgotten} are older than what is kept
        {already.off > 0 && `, ${already.off} are left out by a calendar`}.
        {plan.first && ` First ${absolute(plan.first)}, last ${absolute(plan.last ?? plan.first)}.`}
      </p>
      <p aria-hidden className="backfill-cells">
        {plan.cells.map((cell) => (
          <i key={cell.at} className={`${kind(cell)}${cell.runs ? " chosen" : ""}`} title={`${absolute(cell.at)}: ${WORDS[cell.became]}${cell.runs ? "; would be run" : ""}`} />
        ))}
      </p>
      {plan.sample.length > 0 && (
        <p className="dim">
          Would be run: {plan.sample.map((at) => absolute(at)).join(", ")}
          {plan.count > plan.sample.length && ", …"}
        </p>
      )}
    </div>
  );
}
