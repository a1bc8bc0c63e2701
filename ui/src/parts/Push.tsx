// The browsers of the user that are told when no page is open.

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { api, take } from "../api/client";
import { type Subscription, type Trouble, called, inTheWay, own, tell, untell } from "../model/push";
import { useWho } from "../who";
import { Tried } from "./Tried";
import { Ask, Fault, When } from "./small";

const TROUBLES: [Trouble, string][] = [
  ["failed", "a run failed"],
  ["missed", "times passed without a run"],
  ["recovered", "a job is well again"],
  ["monitor_down", "a monitor is down"],
  ["monitor_up", "it is up again"],
  ["late", "a run did not begin in time"],
  ["long_running", "a run takes too long"],
  ["skipped", "a time was skipped"],
  ["node_lost", "a node is lost"],
  ["sink_behind", "a sink is behind"],
];
const FIRST = 5;
const LIST = ["push"];

export function Push() {
  const list = useQuery({ queryKey: LIST, queryFn: () => take(api.GET("/push/subscriptions")) });
  const here = useQuery({ queryKey: [...LIST, "own"], queryFn: own });
  const queries = useQueryClient();
  const changed = () => queries.invalidateQueries({ queryKey: LIST });
  const why = inTheWay();
  const items = list.data?.items ?? [];
  const told = items.some((one) => one.fingerprint === here.data);
  return (
    <section aria-labelledby="push">
      <h2 id="push">When no page is open</h2>
      <p className="dim">Browsers of yours that show a notification of troubles of jobs you may see. What is sent is encrypted for the browser alone.</p>
      <Fault error={list.error} again={() => void list.refetch()} />
      {list.data?.fault && <p className="bad">Nothing is sent: {list.data.fault}</p>}
      {items.length > 0 && (
        <table>
          <thead>
            <tr><th>Browser</th><th>Service</th><th>Last told</th><th>Waiting</th><th /></tr>
          </thead>
          <tbody>
            {items.map((one) => (
              <tr key={one.id}>
                <td>{one.label}{one.fingerprint === here.data && <span className="dim"> (this one)</span>}{one.fault && <div className="bad">{one.fault}</div>}</td>
                <td>{one.service}</td>
                <td><When at={one.sent_at} past /></td>
                <td className="number">{one.waiting}</td>
                <td><Acts one={one} changed={changed} /></td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {why ? <p>{why}</p> : !told && <Tell changed={changed} />}
    </section>
  );
}

function Tell({ changed }: { changed: () => Promise<void> }) {
  const [label, setLabel] = useState(called());
  const [on, setOn] = useState<Trouble[]>(TROUBLES.slice(0, FIRST).map(([trouble]) => trouble));
  const [jobs, setJobs] = useState("");
  const user = useWho()?.user ?? "";
  const named = jobs.split(/[\s,]+/).filter(Boolean);
  return (
    <Ask
      label="Tell this browser"
      title="Tell this browser"
      act={async () => {
        await tell({ user, on, jobs: named, label });
        await changed();
      }}
    >
      <label>
        What to call it <input value={label} maxLength={128} onChange={(event) => setLabel(event.target.value)} />
      </label>
      <fieldset className="choices">
        <legend>What is told</legend>
        {TROUBLES.map(([trouble, words]) => (
          <label key={trouble} className="row">
            <input
              type="checkbox"
              checked={on.includes(trouble)}
              onChange={(event) => setOn(event.target.checked ? [...on, trouble] : on.filter((one) => one !== trouble))}
            />
            {words}
          </label>
        ))}
      </fieldset>
      <label>
        Of which jobs <input value={jobs} placeholder="all that you may see, or etl-* nightly-dump" onChange={(event) => setJobs(event.target.value)} />
      </label>
    </Ask>
  );
}

function Acts({ one, changed }: { one: Subscription; changed: () => Promise<void> }) {
  return (
    <>
      <Tried send={() => take(api.POST("/push/subscriptions/{id}/test", { params: { path: { id: one.id } } }))} />{" "}
      <Ask
        label="Tell no more"
        title={`Tell ${one.label} no more`}
        same={{ method: "DELETE", path: `/push/subscriptions/${one.id}`, cli: `cronapi push delete ${one.id}` }}
        act={async () => {
          await untell(one);
          await changed();
        }}
      >
        <p>{one.label} is told of nothing from here on.</p>
      </Ask>
    </>
  );
}
