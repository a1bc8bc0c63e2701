// The versions of a job: what each changed, any two of them side by side, one made the present one again.

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { type Job, api, take } from "../api/client";
import { absolute } from "../model/time";
import { versions } from "../queries";
import { may } from "../session";
import { useWho } from "../who";
import { Changes, type Definition, differing } from "./Changes";
import { AsCommand, Ask, Fault, Skeleton } from "./small";

export function Versions({ job, etag }: { job: Job; etag: string | null }) {
  const { name } = job;
  const { data, error, isPending } = useQuery(versions(name));
  const [open, setOpen] = useState<number | null>(null);
  const [against, setAgainst] = useState<number | null>(null);
  if (isPending) return <Skeleton />;
  if (!data) return <Fault error={error} />;
  const shown = data.items.find((version) => version.version === open);
  const index = data.items.findIndex((version) => version.version === open);
  const other = data.items.find((version) => version.version === against) ?? data.items[index + 1];
  return (
    <>
      <table>
        <thead>
          <tr>
            <th>version</th>
            <th>since</th>
            <th className="hide">by</th>
            <th className="hide">what</th>
            <th />
          </tr>
        </thead>
        <tbody>
          {data.items.map((version, at) => {
            const chosen = open === version.version;
            return (
              <tr key={version.version}>
                <td>
                  {version.version}
                  {at === 0 && <span className="dim"> now</span>}
                </td>
                <td className="fill" title={absolute(version.at)}>{absolute(version.at)}</td>
                <td className="hide">{version.by}</td>
                <td className="dim hide">{version.verb}</td>
                <td className="right">
                  <button
                    type="button"
                    className="quiet"
                    aria-expanded={chosen}
                    onClick={() => {
                      setOpen(chosen ? null : version.version);
                      setAgainst(null);
                    }}
                  >
                    {chosen ? "hide" : data.items[at + 1] ? "what changed" : "show"}
                  </button>
                  {" "}
                  {at > 0 && <Restore job={job} etag={etag} version={version.version} to={version.definition as Definition} now={data.items[0]?.definition as Definition} />}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {data.items.length > 1 && (
        <p className="dim">
          <AsCommand curl={`"$URL/jobs/${name}/versions"`} cli={`cronapi get versions ${name}`} />
        </p>
      )}
      {shown && (
        <section className="panel" aria-label={`Version ${shown.version}`}>
          <header>
            <h2>
              {other ? `From version ${other.version} to ${shown.version}` : `Version ${shown.version}`}
            </h2>
            {data.items.length > 1 && (
              <label>
                against{" "}
                <select value={other?.version ?? ""} onChange={(event) => setAgainst(Number(event.target.value))}>
                  {!other && <option value="">nothing</option>}
                  {data.items
                    .filter((version) => version.version !== shown.version)
                    .map((version) => (
                      <option key={version.version} value={version.version}>
                        version {version.version}
                      </option>
                    ))}
                </select>
              </label>
            )}
          </header>
          <Changes before={other?.definition} after={shown.definition} />
        </section>
      )}
    </>
  );
}

type RestoreProps = { job: Job; etag: string | null; version: number; to: Definition; now: Definition | undefined };

/** A pause is somebody's act, no part of a definition: it stays as it is. */
function Restore({ job, etag, version, to, now }: RestoreProps) {
  const who = useWho();
  const client = useQueryClient();
  if (!may(who, "operator")) return null;
  const wanted: Definition = { ...to, name: job.name };
  if (job.enabled) delete wanted.enabled;
  else wanted.enabled = false;
  const present: Definition = { ...now };
  if (job.enabled) delete present.enabled;
  else present.enabled = false;
  const count = differing(present, wanted).length;
  return (
    <Ask
      label="Restore"
      title={`Make ${job.name} what it was in version ${version}`}
      disabled={count === 0}
      act={() =>
        take(
          api.PUT("/jobs/{name}", {
            params: { path: { name: job.name } },
            body: wanted as never,
            headers: etag ? { "If-Match": etag } : undefined,
          }),
        ).then(() => client.invalidateQueries())
      }
    >
      <p>
        Changes {count} {count === 1 ? "field" : "fields"}, as version {job.version + 1}. Runs under way go on by the definition they began with.
      </p>
      <Changes before={present} after={wanted} />
    </Ask>
  );
}
