// Why a job did, or did not, run at an instant: the sentence, what it rests on, what came before and
// after, and the one thing to do.

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import { words } from "../model/outcome";
import { absolute, clock, short } from "../model/time";
import { explanation } from "../queries";
import { Fault, Skeleton, Status } from "./small";
import { may } from "../session";
import { useWho } from "../who";

export function Explain({ job, at, close }: { job: string; at: string; close: () => void }) {
  const { data, error, isPending, refetch } = useQuery(explanation(job, at));
  const who = useWho();
  return (
    <section className="panel" aria-label={`Why at ${absolute(at)}?`}>
      <header>
        <h2>Why at {clock(at)}?</h2>
        <button type="button" className="quiet" onClick={close} aria-label="Close the explanation">
          close
        </button>
      </header>
      {error && <Fault error={error} again={() => void refetch()} />}
      {isPending && <Skeleton rows={3} />}
      {data && (
        <>
          <p className="sentence">{data.summary}</p>
          <dl>
            <dt>verdict</dt>
            <dd>{words(data.verdict)}</dd>
            {data.row && (
              <>
                <dt>decided</dt>
                <dd title={data.row.decided_at}>{absolute(data.row.decided_at)}</dd>
                <dt>version</dt>
                <dd>{data.row.version}</dd>
              </>
            )}
            {data.run && (
              <>
                <dt>run</dt>
                <dd>
                  <Link to="/runs/$id" params={{ id: data.run.id }}>
                    {short(data.run.id)}
                  </Link>{" "}
                  <Status status={data.run.status} />
                </dd>
              </>
            )}
            {Object.entries(data.facts)
              .filter(([name]) => !TOLD.includes(name))
              .map(([name, fact]) => (
                <Fact key={name} name={name} fact={fact} />
              ))}
          </dl>
          <div className="acts">
            {data.previous && (
              <Link to="/jobs/$name" params={{ name: job }} search={(old: object) => ({ ...old, at: data.previous ?? at })}>
                before: {clock(data.previous)}
              </Link>
            )}
            {data.next && (
              <Link to="/jobs/$name" params={{ name: job }} search={(old: object) => ({ ...old, at: data.next ?? at })}>
                after: {clock(data.next)}
              </Link>
            )}
            {data.run && (
              <Link className="button" to="/runs/$id" params={{ id: data.run.id }}>
                See the run
              </Link>
            )}
            {data.facts.paused_by !== undefined && may(who, "admin") && (
              <Link className="button" to="/audit" search={{ action: "job.pause*", target: job }}>
                See why it was paused
              </Link>
            )}
          </div>
        </>
      )}
    </section>
  );
}

/** Facts that the page tells elsewhere. */
const TOLD = ["version", "now", "enabled", "created_at", "schedule_text", "next_fire_at"];
const INSTANT = /^\d{4}-\d\d-\d\dT[\d:.]+Z$/;

function Fact({ name, fact }: { name: string; fact: unknown }) {
  const text = typeof fact !== "string" ? JSON.stringify(fact) : INSTANT.test(fact) ? absolute(fact) : fact;
  return (
    <>
      <dt>{words(name)}</dt>
      <dd>{text}</dd>
    </>
  );
}
