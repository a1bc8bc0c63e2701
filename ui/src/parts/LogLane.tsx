// The log lane: how far each node stands behind the furthest, over the last minutes, and changes of the
// term as marks: who led then, how long nobody did, and which fires were late for it.

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useEffect, useReducer } from "react";

import { type Schema, api, take } from "../api/client";
import { clock, span } from "../model/time";
import { iso } from "../model/zones";

type Node = Schema["NodeView"];
type Sample = { at: number; behind: Map<number, number | null> };
type Change = { term: number; leader: string; from: number; at: number };

/** Kept while the tab is open, so that going to another page and back loses nothing. */
const samples: Sample[] = [];
const changes: Change[] = [];
let last: { term: number; led: number } | null = null;
const KEPT = 180_000;
const WIDE = 600;
const HIGH = 26;
/** Later than this a fire counts as late. */
const LATE = 1_000;

function note(nodes: Node[], term: number): void {
  const at = Date.now();
  if (at - (samples.at(-1)?.at ?? 0) < 500) return;
  const most = Math.max(0, ...nodes.map((node) => node.applied_index ?? 0));
  samples.push({ at, behind: new Map(nodes.map((node) => [node.id, node.live && node.applied_index != null ? most - node.applied_index : null])) });
  while ((samples[0]?.at ?? at) < at - KEPT) samples.shift();
  const leader = nodes.find((node) => node.role === "leader");
  if (!leader) return;
  if (last && term > last.term) {
    changes.push({ term, leader: leader.address, from: last.led, at });
    if (changes.length > 20) changes.shift();
  }
  last = { term: Math.max(term, last?.term ?? 0), led: at };
}

export function LogLane({ nodes, term }: { nodes: Node[]; term: number }) {
  const [, again] = useReducer((count: number) => count + 1, 0);
  useEffect(() => {
    note(nodes, term);
    again();
  }, [nodes, term]);
  const now = samples.at(-1)?.at ?? Date.now();
  const begin = now - KEPT;
  const x = (at: number) => ((at - begin) / KEPT) * WIDE;
  const most = Math.max(20, ...samples.flatMap((sample) => [...sample.behind.values()].map((value) => value ?? 0)));
  const shown = changes.filter((change) => change.at > begin);
  return (
    <>
      <h2>
        Log lane <span>the last 3 minutes; higher is further behind</span>
      </h2>
      <div className="log-lane" role="group" aria-label="How far each node is behind, over the last 3 minutes">
        {nodes.map((node) => {
          const points = samples.map((sample) => ({ at: sample.at, value: sample.behind.get(node.id) ?? null }));
          const latest = points.at(-1)?.value;
          return (
            <div key={node.id} className="lane-of">
              <span className="clip" title={String(node.id)}>
                {node.address}
              </span>
              <svg viewBox={`0 0 ${WIDE} ${HIGH}`} preserveAspectRatio="none" role="img" aria-label={`${node.address}: ${latest == null ? "away" : latest === 0 ? "even with the furthest" : `${latest} entries behind`}`}>
                <line className="base" x1={0} x2={WIDE} y1={HIGH - 1} y2={HIGH - 1} />
                {points.map((point, index) => {
                  const next = points[index + 1]?.at ?? point.at + 2_000;
                  const wide = Math.max(1, Math.min(x(next), WIDE) - x(point.at));
                  if (x(point.at) < -wide) return null;
                  const tall = point.value === null ? HIGH - 2 : Math.max(2, (point.value / most) * (HIGH - 2));
                  return <rect key={point.at} className={point.value === null ? "away" : node.role === "leader" ? "leads" : "follows"} x={x(point.at)} y={HIGH - tall} width={wide + 0.5} height={tall} />;
                })}
                {shown.map((change) => (
                  <line key={change.term} className="mark" x1={x(change.at)} x2={x(change.at)} y1={0} y2={HIGH} />
                ))}
              </svg>
              <span className="right">{latest == null ? "away" : latest.toLocaleString("en")}</span>
            </div>
          );
        })}
      </div>
      {changes.length > 0 && (
        <ul className="changes-of-term">
          {[...changes].reverse().map((change) => (
            <Told key={change.term} change={change} />
          ))}
        </ul>
      )}
    </>
  );
}

/** A change of the term, and the fires that came late for it. */
function Told({ change }: { change: Change }) {
  const from = Math.floor(change.from / 1000) * 1000;
  const until = Math.ceil(change.at / 1000) * 1000 + 5_000;
  const late = useQuery({
    queryKey: ["late", change.term],
    queryFn: async () => {
      const answer = await take(api.GET("/timeline", { params: { query: { from: iso(from), until: iso(until + 60_000), limit: 1000 } } }));
      const fired = answer.items.filter((bar) => bar.nominal_time && Date.parse(bar.nominal_time) >= from && Date.parse(bar.nominal_time) <= until);
      const by = fired.map((bar) => Date.parse(bar.fired_at) - Date.parse(bar.nominal_time ?? bar.fired_at)).filter((ms) => ms > LATE);
      return { fired: fired.length, late: by.length, most: Math.max(0, ...by) };
    },
    staleTime: 10_000,
    refetchInterval: (query) => (Date.now() - change.at < 20_000 || !query.state.data ? 5_000 : false),
    meta: { live: false },
  });
  return (
    <li>
      {clock(change.at)}: term {change.term}, {change.leader} leads; nobody was seen to lead for {span(change.at - change.from)} at most.{" "}
      {late.data && (late.data.late > 0 ? <span className="warn">{late.data.late} of {late.data.fired} fires came late, {span(late.data.most)} at the most. </span> : `None of ${late.data.fired} fires came late. `)}
      <Link to="/timeline" search={{ from: iso(from - 15_000), span: 60 }}>
        see it
      </Link>
    </li>
  );
}
