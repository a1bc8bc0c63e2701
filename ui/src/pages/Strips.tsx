// Strips of some jobs and nothing else: for a screen on a wall, or a frame in a page of the same host.
// /ui/strips?job=nightly-dump&job=sync-crm

import { useQuery } from "@tanstack/react-query";
import { Link, useSearch } from "@tanstack/react-router";

import { useEvents, useLink } from "../api/live";
import { Strip } from "../parts/Strip";
import { Fault, Skeleton, When } from "../parts/small";
import { strips } from "../queries";
import { share } from "./Overview";

export function Strips() {
  const { job: jobs } = useSearch({ from: "/strips" });
  useEvents();
  const link = useLink();
  const { data, error, isPending, refetch } = useQuery(strips(jobs));
  if (jobs.length === 0) return <main className="wall"><p className="dim">Name jobs in the address: /ui/strips?job=nightly-dump&amp;job=sync-crm</p></main>;
  return (
    <main className="wall">
      <h1 className="unseen">Strips</h1>
      {error && <Fault error={error} again={() => void refetch()} />}
      {isPending && !error && <Skeleton rows={jobs.length} />}
      {data && (
        <table className="jobs">
          <tbody>
            {jobs.map((name) => {
              const strip = data.get(name);
              return (
                <tr key={name}>
                  <td className="name">{strip ? <Link to="/jobs/$name" params={{ name }}>{name}</Link> : <span className="dim">{name}: there is no such job</span>}</td>
                  <td className="strips">{strip && <Strip strip={strip} label />}</td>
                  <td className="dim right hide">{share(strip?.succeeded_per_mille)}</td>
                  <td className="right">{strip?.coming[0] ? <When at={strip.coming[0]} /> : ""}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      )}
      {link !== "live" && <p className={`link ${link}`} role="status"><i aria-hidden /> {link}</p>}
    </main>
  );
}
