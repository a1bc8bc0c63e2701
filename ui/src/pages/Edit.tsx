// Writing a job: the definition on one side, what it means on the other. The server judges while it
// is typed (dry run); saving shows what changes, and a conflict shows what the other one wrote.

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { Suspense, lazy, useEffect, useState } from "react";
import { parse, stringify } from "yaml";

import { Refusal, api, take, takeWith } from "../api/client";
import { absolute } from "../model/time";
import { job as jobQuery } from "../queries";
import { Fault, Head, Skeleton } from "../parts/small";
import { definition } from "./Job";

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
  return <Editor key={data.etag} start={stringify(JSON.parse(definition(data.value)))} etag={data.etag} name={name} />;
}

type Judged = { body: Record<string, unknown> | null; error: unknown };

function Editor({ start, etag, name }: { start: string; etag: string | null; name: string | null }) {
  const [text, setText] = useState(start);
  const [judged, setJudged] = useState<Judged>({ body: null, error: null });
  const [saving, setSaving] = useState<unknown>(null);
  const client = useQueryClient();
  const go = useNavigate();
  useEffect(() => {
    const late = new AbortController();
    const timer = setTimeout(() => void judge(text, name, late.signal).then((now) => late.signal.aborted || setJudged(now)), 400);
    return () => {
      clearTimeout(timer);
      late.abort();
    };
  }, [text, name]);
  const save = async () => {
    setSaving(null);
    try {
      const body = read(text);
      const headers = name ? { "If-Match": etag ?? "*" } : { "If-None-Match": "*" };
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
      <Fault error={saving} />
      {conflict && name && <Conflict name={name} mine={text} />}
      <div className="columns">
        <section>
          <Suspense fallback={<Skeleton rows={12} />}>
            <Text value={text} language="yaml" label="The definition, as YAML" change={setText} />
          </Suspense>
        </section>
        <aside>
          <Fault error={judged.error} />
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
      <h2>Next times</h2>
      <table>
        <tbody>
          {data.next.map((next) => (
            <tr key={next.at}>
              <td>{next.local}</td>
              <td className="dim" title="in your zone">
                {absolute(next.at)}
              </td>
              <td className="warn">{next.off ? "off" : ""}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
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

/** Somebody saved meanwhile: theirs beside mine. */
function Conflict({ name, mine }: { name: string; mine: string }) {
  const { data } = useQuery({ queryKey: ["theirs", name], queryFn: () => takeWith(api.GET("/jobs/{name}", { params: { path: { name } } })), meta: { live: false } });
  if (!data) return null;
  return (
    <section className="conflict">
      <p>
        Somebody saved version {data.value.version} while you wrote. Take over what you need from theirs, then{" "}
        <Link to="/jobs/$name/edit" params={{ name }} reloadDocument>
          begin from theirs
        </Link>
        .
      </p>
      <div className="halves">
        <div>
          <h2>theirs</h2>
          <pre>{stringify(JSON.parse(definition(data.value)))}</pre>
        </div>
        <div>
          <h2>mine</h2>
          <pre>{mine}</pre>
        </div>
      </div>
    </section>
  );
}
