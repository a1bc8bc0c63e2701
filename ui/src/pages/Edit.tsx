// Writing a job: the definition on one side, what it means on the other. The server judges while it
// is typed (dry run); saving shows what changes, and a conflict shows what the other one wrote.

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { Suspense, lazy, useState } from "react";
import { parse, stringify } from "yaml";

import { Refusal, api, take, takeWith } from "../api/client";
import { absolute, clock, sameWall, wall } from "../model/time";
import { day } from "../model/zones";
import { job as jobQuery, schemas, upcoming } from "../queries";
import { Fault, Head, Skeleton, faultsOf } from "../parts/small";
import { useJudged } from "../parts/judged";
import { Changes, type Definition, differing } from "../parts/Changes";
import { Conflict } from "../parts/Conflict";
import { JobForm } from "../parts/JobForm";
import { definition } from "../model/definition";
import "../parts/parts.css";

const Text = lazy(() => import("../parts/Text"));

const FRESH = `name: my-job
description: What it is for.
expr: "*/15 * * * *"
timezone: ${Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC"}
runner:
  type: shell
  command: |
    echo "due at $CRONAPI_NOMINAL_TIME"
timeout: 5m
overlap: skip        # if a run is still going, this time is recorded as skipped
retry:
  max_attempts: 2
  delay: 10s
`;

export function NewJob() {
  return <Editor start={FRESH} etag={null} name={null} />;
}

export function EditJob() {
  const { name } = useParams({ from: "/in/jobs/$name/edit" });
  const { data, error, isPending } = useQuery({ ...jobQuery(name), staleTime: Infinity, meta: { live: false } });
  if (isPending) return <Skeleton rows={10} />;
  if (!data) return <Fault error={error} />;
  return <Editor key={name} start={stringify(JSON.parse(definition(data.value)))} etag={data.etag} name={name} />;
}

type Judged = { body: Record<string, unknown> | null; error: unknown };

/** What is saved, what is written on from there, and how often a text was put in place of the written one. */
type Begun = { text: string; etag: string | null; round: number };

function Editor({ start, etag, name }: { start: string; etag: string | null; name: string | null }) {
  // What was there when the writing began: a save that finds something else is a conflict.
  const [begun, setBegun] = useState<Begun>({ text: start, etag, round: 0 });
  const [text, setText] = useState(start);
  const judged = useJudged<Judged>({ body: null, error: null }, (signal) => judge(text, name, signal), [text, name]);
  const [saving, setSaving] = useState<unknown>(null);
  const known = useQuery(schemas);
  const client = useQueryClient();
  const go = useNavigate();
  const save = async () => {
    setSaving(null);
    try {
      const body = read(text);
      const headers = name ? { "If-Match": begun.etag ?? "*" } : { "If-None-Match": "*" };
      const path = { name: String(body.name ?? "") };
      await takeWith(api.PUT("/jobs/{name}", { params: { path }, body: body as never, headers }));
      await client.invalidateQueries();
      await go({ to: "/jobs/$name", params: path });
    } catch (fault) {
      setSaving(fault);
    }
  };
  const conflict = saving instanceof Refusal && saving.status === 412;
  return (
    <>
      <Head title={name ? `Edit ${name}` : "Write a job"}>
        <Link className="button" to={name ? "/jobs/$name" : "/jobs"} params={{ name: name ?? "" }}>
          Leave
        </Link>
        <button type="button" className="solid" disabled={!!judged.error} onClick={() => void save()}>
          Save
        </button>
      </Head>
      {!(conflict && name) && <Fault error={saving} />}
      {conflict && name && (
        <Conflict
          name={name}
          base={read(begun.text)}
          mine={read(text)}
          done={(merged, theirs, now) => {
            setBegun({ text: stringify(theirs), etag: now, round: begun.round + 1 });
            setText(stringify(merged));
            setSaving(null);
          }}
        />
      )}
      <div className="columns writing">
        <JobForm
          text={text}
          named={name !== null}
          faults={faultsOf(judged.error)}
          change={(changed) => {
            // The editor owns its text: it is told that another one is put in its place.
            setText(changed);
            setBegun((begun) => ({ ...begun, round: begun.round + 1 }));
          }}
        />
        <section>
          <Suspense fallback={<Skeleton rows={12} />}>
            <Text round={begun.round} value={text} language="yaml" label="The definition, as YAML" change={setText} help={known.data && { schemas: known.data, root: "JobFields" }} faults={faultsOf(judged.error)} />
          </Suspense>
        </section>
        <aside>
          <Fault error={judged.error} />
          {judged.body && name && <Difference name={name} before={read(begun.text)} after={judged.body} />}
          {judged.body && <Meaning body={judged.body} />}
        </aside>
      </div>
    </>
  );
}

function read(text: string): Record<string, unknown> {
  const value: unknown = parse(text);
  if (!value || typeof value !== "object" || Array.isArray(value)) throw new Error("A definition is a list of fields, such as name: nightly.");
  return value as Record<string, unknown>;
}

async function judge(text: string, name: string | null, signal: AbortSignal): Promise<Judged> {
  let body: Record<string, unknown>;
  try {
    body = read(text);
  } catch (error) {
    return { body: null, error };
  }
  try {
    const path = { name: String(body.name ?? name ?? "") };
    await take(api.PUT("/jobs/{name}", { params: { path, query: { dry_run: true } }, body: body as never, signal }));
    return { body, error: null };
  } catch (error) {
    return { body, error };
  }
}

/** The schedule in words and its next times. */
function Meaning({ body }: { body: Record<string, unknown> }) {
  const { data, error } = useQuery({
    queryKey: ["preview", body],
    queryFn: () => take(api.POST("/schedules/preview", { params: { query: { count: 10 } }, body: body as never })),
    retry: false,
    meta: { live: false },
    placeholderData: (old) => old,
  });
  if (error || !data) return null;
  return (
    <>
      <h2>What it means</h2>
      <p className="sentence">{data.text || "No schedule: it runs by hand, by a chain or by its dependencies."}</p>
      <p>{consequence(body)}</p>
      {held(body) && <p>{held(body)}</p>}
      <p>{told(body)}</p>
      {data.next[0] && <Beside at={data.next[0].at} name={String(body.name ?? "")} />}
      <h2>Next times</h2>
      <table>
        <tbody>
          {data.next.map((next) => (
            <tr key={next.at}>
              <td title={next.local}>
                <time dateTime={next.at}>{wall(next.local)}</time>
              </td>
              <td className="dim" title="in your zone">
                {sameWall(next.local) ? "" : absolute(next.at)}
              </td>
              <td className="warn">{next.off ? "off" : ""}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}

/** What else starts in the minute of its next time. */
function Beside({ at, name }: { at: string; name: string }) {
  const from = new Date(Math.floor(Date.parse(at) / 60_000) * 60_000).toISOString().replace(".000Z", "Z");
  const until = new Date(Date.parse(from) + 60_000).toISOString().replace(".000Z", "Z");
  const { data } = useQuery({
    queryKey: ["beside", from],
    queryFn: () => take(api.GET("/fires", { params: { query: { from, until, limit: 200 } } })),
    staleTime: 30_000,
    meta: { live: false },
  });
  const others = [...new Set(data?.items.map((fire) => fire.job))].filter((job) => job !== name);
  if (others.length === 0) return null;
  return (
    <p>
      In the minute of its next time {data?.next_cursor ? "over " : ""}
      {others.length === 1 ? "1 other job starts" : `${others.length} other jobs start`}: {others.slice(0, 3).join(", ")}
      {others.length > 3 ? " and more" : ""}.{" "}
      <Link to="/calendar" search={{ view: "day", date: day(Date.parse(at)) }}>
        See the load
      </Link>
    </p>
  );
}

const TROUBLES: Record<string, string> = {
  failed: "fails",
  missed: "does not run",
  late: "does not begin in time",
  long_running: "takes too long",
  skipped: "is skipped",
  recovered: "is well again",
};

/** Who is told of what, as one sentence. */
function told(body: Record<string, unknown>): string {
  const notify = body.notify as { on?: string[]; channels?: string[] } | null | undefined;
  if (!notify?.channels?.length) return "Nobody is told when it fails; the field notify says who is.";
  const on = notify.on?.length ? notify.on : ["failed", "missed", "recovered"];
  return `When it ${on.map((what) => TROUBLES[what] ?? what).join(", or ")}, ${notify.channels.join(", ")} is told.`;
}

/** The overlap policy as one sentence of consequence. */
function consequence(body: Record<string, unknown>): string {
  switch (body.overlap ?? "skip") {
    case "allow":
      return "If a run is still going, another starts beside it.";
    case "queue_one":
      return "If a run is still going, one more waits behind it; a further time is recorded as skipped.";
    case "queue_all":
      return "If a run is still going, the next ones wait behind it in order.";
    case "cancel_running":
      return "If a run is still going, it is cancelled, and the next starts when it has ended.";
    default:
      return "If a run is still going, the time is recorded as skipped.";
  }
}

/** What its lock means, as one sentence; empty: it has none. */
function held(body: Record<string, unknown>): string {
  const lock = body.lock as { key?: string; on_busy?: string } | null | undefined;
  if (!lock?.key) return "";
  const busy = lock.on_busy === "skip" ? "its run is recorded as skipped" : "its run waits";
  return `While it runs it holds the lock ${lock.key}, here and in other clusters; while another has it, ${busy}.`;
}

const MOVED = 20;
const OF_THE_SCHEDULE = ["expr", "timezone", "start_at", "end_at", "jitter", "calendars", "dst_gap", "dst_fold", "max_runs"];

/** What saving changes, and which of the coming fires move. */
function Difference({ name, before, after }: { name: string; before: Definition; after: Record<string, unknown> }) {
  const fields = differing(before, { ...after, name: after.name ?? name });
  const moves = fields.some((field) => OF_THE_SCHEDULE.includes(field));
  const old = useQuery({ ...upcoming(name, MOVED), enabled: moves });
  const now = useQuery({
    queryKey: ["preview", MOVED, after],
    queryFn: () => take(api.POST("/schedules/preview", { params: { query: { count: MOVED } }, body: after as never })),
    enabled: moves,
    retry: false,
    meta: { live: false },
  });
  if (fields.length === 0) return null;
  return (
    <>
      <h2>What saving changes</h2>
      <Changes before={before} after={{ ...after, name: after.name ?? name }} />
      {moves && old.data && now.data && <Moves old={old.data.items.map((next) => next.at)} now={now.data.next.map((next) => next.at)} />}
    </>
  );
}

function Moves({ old, now }: { old: string[]; now: string[] }) {
  // Lists end where they were cut: only what both reach can be compared.
  const ends = [old, now].filter((list) => list.length === MOVED).map((list) => list.at(-1) ?? "");
  const reach = ends.sort()[0];
  const within = (at: string) => !reach || at <= reach;
  const gone = old.filter((at) => within(at) && !now.includes(at));
  const come = now.filter((at) => within(at) && !old.includes(at));
  const list = (times: string[]) => times.slice(0, 3).map((at) => clock(at)).join(", ") + (times.length > 3 ? ` and ${times.length - 3} more` : "");
  if (gone.length === 0 && come.length === 0) return <p>Its next {Math.min(old.length, now.length)} fires stay where they are.</p>;
  return (
    <p>
      Up to {reach ? clock(reach) : "its end"}: {gone.length > 0 && <>no longer at {list(gone)}. </>}
      {come.length > 0 && <>Newly at {list(come)}.</>}
    </p>
  );
}
