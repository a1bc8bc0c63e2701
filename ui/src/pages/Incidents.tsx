// What is wrong and was told, and what became of the telling.

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";

import { type Schema, api, take } from "../api/client";
import { incidents, notices } from "../queries";
import { Fault, Head, Skeleton, When } from "../parts/small";
import { may } from "../session";
import { useWho } from "../who";

type Incident = Schema["IncidentView"];
type Notice = Schema["NoticeView"];

const WORDS: Record<Incident["trouble"], string> = {
  failed: "failed",
  recovered: "recovered",
  late: "did not begin in time",
  missed: "did not run",
  long_running: "runs for too long",
  skipped: "was skipped",
  monitor_down: "is down",
  monitor_up: "is up again",
  node_lost: "is lost",
  sink_behind: "is behind",
  backfill_done: "has a backfill that is done",
};

const NOTICE_STATES = ["pending", "sent", "dead", "muted"] as const;

export function Incidents() {
  const [over, setOver] = useState(false);
  const { data, error, isPending, refetch } = useQuery(incidents(over ? "resolved" : "open"));
  return (
    <>
      <Head title="Incidents" about="Troubles of jobs and monitors, and of the cluster itself, that channels are told of. A success of the job, or a ping, ends one.">
        <label>
          <input type="checkbox" checked={over} onChange={(event) => setOver(event.target.checked)} /> those that are over
        </label>
      </Head>
      {isPending && <Skeleton />}
      {!isPending && !data && <Fault error={error} again={() => void refetch()} />}
      {data && <List items={data.items} over={over} />}
      {data?.next_cursor && <p className="dim">These are the newest hundred.</p>}
      <Notices />
    </>
  );
}

/** What has the trouble, with a way to it. */
function Whose({ of }: { of: Pick<Incident, "job" | "monitor" | "node" | "sink"> }) {
  if (of.job) {
    return (
      <Link to="/jobs/$name" params={{ name: of.job }}>
        {of.job}
      </Link>
    );
  }
  if (of.node !== null) return <Link to="/cluster">node {of.node}</Link>;
  if (of.sink) {
    return (
      <Link to="/sinks" search={{ edit: of.sink }}>
        sink {of.sink}
      </Link>
    );
  }
  return (
    <Link to="/monitors" search={{}}>
      {of.monitor}
    </Link>
  );
}

function List({ items, over }: { items: Incident[]; over: boolean }) {
  if (items.length === 0) return <p className="dim">{over ? "None is over yet." : "Nothing is open. Jobs tell of themselves with the field notify."}</p>;
  return (
    <table>
      <thead>
        <tr>
          <th>whose</th>
          <th className="fill">trouble</th>
          <th className="right">times</th>
          <th className="hide">since</th>
          <th className="hide">told to</th>
          <th />
        </tr>
      </thead>
      <tbody>
        {items.map((one) => (
          <tr key={one.id}>
            <td className="name">
              <Whose of={one} />
              {one.jobs.length > 1 && <span className="dim"> and {one.jobs.length - 1} more</span>}
            </td>
            <td className="fill">
              {one.run_id ? (
                <Link to="/runs/$id" params={{ id: one.run_id }}>
                  {WORDS[one.trouble]}
                </Link>
              ) : (
                WORDS[one.trouble]
              )}
              {one.detail && <span className="dim">: {one.detail}</span>}
            </td>
            <td className="right">{one.troubles}</td>
            <td className="hide">
              <When at={one.since} past />
            </td>
            <td className="hide">{one.channels.join(", ")}</td>
            <td className="right acts">{over ? <Ended one={one} /> : <Acknowledge one={one} />}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Ended({ one }: { one: Incident }) {
  return <span className="dim">{one.ended_since ?? <When at={one.resolved_at} past />}</span>;
}

function Acknowledge({ one }: { one: Incident }) {
  const who = useWho();
  const client = useQueryClient();
  const [fault, setFault] = useState<unknown>(null);
  if (one.acknowledged_by) return <span className="dim">known to {one.acknowledged_by}</span>;
  if (!may(who, "operator")) return null;
  const act = () =>
    take(api.POST("/incidents/{id}/acknowledge", { params: { path: { id: one.id } } }))
      .then(() => client.invalidateQueries())
      .catch(setFault);
  return (
    <>
      <button type="button" onClick={() => void act()}>
        Acknowledge
      </button>
      <Fault error={fault} />
    </>
  );
}

function Notices() {
  const [state, setState] = useState<Notice["state"]>("pending");
  const { data } = useQuery(notices(state));
  const who = useWho();
  const client = useQueryClient();
  const again = (seq: number) =>
    take(api.POST("/notices/{seq}/retry", { params: { path: { seq } } })).then(() => client.invalidateQueries(), () => client.invalidateQueries());
  return (
    <section>
      <h2>Notices</h2>
      <label>
        which{" "}
        <select value={state} onChange={(event) => setState(NOTICE_STATES.find((one) => one === event.target.value) ?? "pending")}>
          <option value="pending">that wait</option>
          <option value="sent">that were sent</option>
          <option value="dead">that were given up</option>
          <option value="muted">that a window muted</option>
        </select>
      </label>
      {data?.items.length === 0 && <p className="dim">None.</p>}
      {data && data.items.length > 0 && (
        <table>
          <tbody>
            {data.items.map((one) => (
              <tr key={one.seq}>
                <td className="name">{one.channel}</td>
                <td className="fill">
                  <Whose of={one} />: {one.kind === "resolved" ? "recovered" : WORDS[one.trouble]}
                  {one.error && <span className="bad"> {one.error}</span>}
                  {one.tries > 0 && <span className="dim"> tried {one.tries} times</span>}
                  {one.held && <span className="warn"> held, since the cluster was restored</span>}
                </td>
                <td className="hide">
                  <When at={one.ended_at ?? one.at} past />
                </td>
                <td className="right acts">
                  {state !== "sent" && may(who, "operator") && (
                    <button type="button" onClick={() => void again(one.seq)}>
                      Send now
                    </button>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}
