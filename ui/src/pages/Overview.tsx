// The first words answer the only question of somebody who opens it at night: is everything all right?

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";

import type { Overview as Facts } from "../api/client";
import { useNow } from "../model/now";
import { clock, span, until } from "../model/time";
import { nodes, overview, strips } from "../queries";
import { Legend, Strip } from "../parts/Strip";
import { Fault, Skeleton, When } from "../parts/small";
import { Start } from "./Start";

function count(n: number, one: string, many = `${one}s`): string {
  return `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
}

/** The sentence: facts, each a link. */
export function Sentence({ facts }: { facts: Facts }) {
  const now = useNow();
  const parts: ReactNode[] = [];
  const first = facts.failing_jobs.reduce<string | null>((least, f) => (!least || f.since < least ? f.since : least), null);
  parts.push(
    <Link key="on" to="/jobs">
      {count(facts.on_time, "job")} on time.
    </Link>,
  );
  if (facts.failing > 0) {
    parts.push(
      <Link key="bad" to="/runs" search={{ status: "failed" }} className="bad">
        {facts.failing.toLocaleString("en")} {facts.failing === 1 ? "fails" : "fail"}
        {first ? ` since ${clock(first)}` : ""}.
      </Link>,
    );
  }
  if (facts.incidents > 0) {
    parts.push(
      <Link key="open" to="/incidents" className="bad">
        {facts.incidents.toLocaleString("en")} {facts.incidents === 1 ? "incident is" : "incidents are"} open.
      </Link>,
    );
  }
  if (facts.late > 0) {
    parts.push(
      <Link key="late" to="/jobs" search={{ sort: "next_fire_at" }} className="bad">
        {facts.late.toLocaleString("en")} late.
      </Link>,
    );
  }
  if (facts.waiting > 0) {
    parts.push(
      <Link key="wait" to="/runs" search={{ status: "waiting" }} className="warn">
        {facts.waiting.toLocaleString("en")} {facts.waiting === 1 ? "waits" : "wait"}.
      </Link>,
    );
  }
  if (facts.paused > 0) {
    parts.push(
      <Link key="paused" to="/jobs" search={{ enabled: false }}>
        {facts.paused.toLocaleString("en")} paused.
      </Link>,
    );
  }
  if (facts.leader_id == null) parts.push(<span key="leader" className="bad">The cluster has no leader: nothing fires.</span>);
  const next = facts.coming[0];
  parts.push(
    next ? (
      <Link key="next" to="/jobs/$name" params={{ name: next.job }}>
        The next fire is {until(Date.parse(next.at) - now)}.
      </Link>
    ) : (
      <span key="next">Nothing is scheduled.</span>
    ),
  );
  return <p className="say">{parts.flatMap((part, index) => (index ? [" ", part] : [part]))}</p>;
}

function Needs({ facts }: { facts: Facts }) {
  const now = useNow();
  const long = facts.running_runs.slice(0, 3);
  if (facts.failing_jobs.length + facts.waiting_runs.length === 0) {
    return long.length ? <Running facts={facts} /> : <p className="dim">Nothing needs you.</p>;
  }
  return (
    <table>
      <tbody>
        {facts.failing_jobs.map((f) => (
          <tr key={f.run_id}>
            <td className="name">
              <Link to="/jobs/$name" params={{ name: f.job }}>
                {f.job}
              </Link>
            </td>
            <td className="dim fill">
              {f.times > 1 ? `failed ${f.times} times` : f.status.replace("_", " ")}
              {f.error ? `: ${f.error}` : f.exit_code ? `, exit ${f.exit_code}` : ""}
            </td>
            <td className="dim hide">since {clock(f.since)}</td>
            <td className="right">
              <Link className="pill bad" to="/runs/$id" params={{ id: f.run_id }}>
                failing
              </Link>
            </td>
          </tr>
        ))}
        {facts.waiting_runs.map((w) => (
          <tr key={w.run_id}>
            <td className="name">
              <Link to="/jobs/$name" params={{ name: w.job }}>
                {w.job}
              </Link>
            </td>
            <td className="dim fill">{w.reason ? w.reason.replace(/^for /, "waits for ") : "waits for a slot"}</td>
            <td className="dim hide">for {span(now - Date.parse(w.since))}</td>
            <td className="right">
              <Link className="pill wait" to="/runs/$id" params={{ id: w.run_id }}>
                {w.status}
              </Link>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Running({ facts }: { facts: Facts }) {
  const now = useNow();
  return (
    <table>
      <tbody>
        {facts.running_runs.map((r) => (
          <tr key={r.run_id}>
            <td className="name">
              <Link to="/runs/$id" params={{ id: r.run_id }}>
                {r.job}
              </Link>
            </td>
            <td className="dim right">{span(now - Date.parse(r.started_at ?? r.since))}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Every node's place in the log, against the leader's. */
export function LogLane() {
  const { data } = useQuery(nodes);
  if (!data) return <Skeleton rows={2} />;
  const most = Math.max(1, ...data.items.map((node) => node.applied_index ?? 0));
  return (
    <div className="lanes">
      {data.items.map((node) => {
        const at = node.applied_index ?? 0;
        return (
          <div className="lane" key={node.id}>
            <Link to="/cluster" title={node.address}>
              {String(node.id).slice(0, 6)}
              {node.role === "leader" ? " leader" : node.live ? "" : " away"}
            </Link>
            <progress max={most} value={at} aria-label={`applied ${at} of ${most}`} />
            <span className="dim right">{(most - at).toLocaleString("en")}</span>
          </div>
        );
      })}
    </div>
  );
}

export function Overview() {
  const { data, error, isPending, refetch } = useQuery(overview);
  const shown = data ? [...new Set([...data.failing_jobs.map((f) => f.job), ...data.coming.map((c) => c.job)])].slice(0, 24) : [];
  const cells = useQuery(strips(shown));
  if (isPending) return <Skeleton rows={10} />;
  if (!data) return <Fault error={error} again={() => void refetch()} />;
  if (data.jobs === 0) return <Start />;
  const coming = new Map(data.coming.map((c) => [c.job, c.at]));
  return (
    <>
      {error && <Fault error={error} again={() => void refetch()} />}
      <h1 className="unseen">Overview</h1>
      <Sentence facts={data} />
      <div className="columns">
        <section>
          <h2>
            Needs you <span>the latest first</span>
          </h2>
          <Needs facts={data} />
          <h2>
            Jobs <span>last 60 nominal times and the next 5</span>
          </h2>
          <table className="jobs">
            <tbody>
              {shown.map((name) => (
                <tr key={name}>
                  <td className="name">
                    <Link to="/jobs/$name" params={{ name }}>
                      {name}
                    </Link>
                  </td>
                  <td className="fill strips">
                    <Strip strip={cells.data?.get(name)} />
                  </td>
                  <td className="dim right hide">{share(cells.data?.get(name)?.succeeded_per_mille)}</td>
                  <td className="right">{coming.has(name) ? <When at={coming.get(name)} /> : <span className="faint">unscheduled</span>}</td>
                </tr>
              ))}
            </tbody>
          </table>
          <Legend />
        </section>
        <aside>
          <h2>Next</h2>
          <table>
            <tbody>
              {data.coming.slice(0, 10).map((c) => (
                <tr key={c.job}>
                  <td className="dim">
                    <When at={c.at} />
                  </td>
                  <td className="name fill">
                    <Link to="/jobs/$name" params={{ name: c.job }}>
                      {c.job}
                    </Link>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
          {data.running > 0 && (
            <>
              <h2>
                Running <span>{data.running.toLocaleString("en")}</span>
              </h2>
              <Running facts={data} />
            </>
          )}
          <h2>
            Log <span>entries behind</span>
          </h2>
          <LogLane />
        </aside>
      </div>
    </>
  );
}

export function share(perMille: number | null | undefined): string {
  if (perMille == null) return "";
  return `${(perMille / 10).toFixed(perMille === 1000 ? 0 : 1)} %`;
}
