// Which share of each node's slots a lane may take, so that live work finds one at once.

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { Refusal, type Schema, api, take } from "../api/client";
import { may } from "../session";
import { useWho } from "../who";
import { Ask, Fault } from "./small";

type Shares = Required<Schema["LaneShares"]>;

const DEFAULTS: Shares = { live: 100, retry: 75, backfill: 50 };
const LANES: Record<keyof Shares, string> = {
  live: "all attempts",
  retry: "retries, what is caught up, and backfills",
  backfill: "backfills, and what they lead to",
};
const NAMES = Object.keys(LANES) as (keyof Shares)[];
const PATH = { params: { path: { name: "scheduling" } } };

export function Lanes() {
  const who = useWho();
  const client = useQueryClient();
  const again = () => client.invalidateQueries();
  const { data, error } = useQuery({
    queryKey: ["settings", "scheduling"],
    queryFn: async () => {
      try {
        return (await take(api.GET("/settings/{name}", PATH))) as { lanes?: Schema["LaneShares"] | null };
      } catch (fault) {
        // Nobody has set them.
        if (fault instanceof Refusal && fault.status === 404) return null;
        throw fault;
      }
    },
  });
  const [wanted, setWanted] = useState<Shares | null>(null);
  if (error) return <Fault error={error} />;
  if (data === undefined) return null;
  const now = { ...DEFAULTS, ...data?.lanes };
  const body = { lanes: wanted ?? now };
  const json = JSON.stringify(body);
  return (
    <>
      <h2>Lanes</h2>
      <p className="dim">Live work comes first: the share of each node&apos;s slots that a lane may take, together with those behind it.</p>
      <table>
        <tbody>
          {NAMES.map((lane) => (
            <tr key={lane}>
              <td className="name">{lane}</td>
              <td className="right">{now[lane]} %</td>
              <td className="fill dim">{LANES[lane]}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {may(who, "admin") && (
        <p className="acts">
          <Ask
            label="Set shares"
            title="Set the shares of the lanes"
            same={{ method: "PUT", path: "/settings/scheduling", body, cli: `cronapi api PUT /settings/scheduling --input - <<<'${json}'` }}
            act={() => take(api.PUT("/settings/{name}", { ...PATH, body })).then(again)}
          >
            {NAMES.map((lane) => (
              <label key={lane}>
                {lane}, % <input type="number" min="1" max="100" value={body.lanes[lane]} onChange={(event) => setWanted({ ...body.lanes, [lane]: Number(event.target.value) })} />
              </label>
            ))}
            <p>What runs is not stopped when shares shrink.</p>
          </Ask>{" "}
          {data && (
            <Ask
              label="Defaults"
              title="Back to the default shares"
              same={{ method: "DELETE", path: "/settings/scheduling", cli: "cronapi api DELETE /settings/scheduling" }}
              act={() => take(api.DELETE("/settings/{name}", PATH)).then(again)}
            >
              <p>100 % for all attempts, 75 % for retries and what is caught up, 50 % for backfills.</p>
            </Ask>
          )}
        </p>
      )}
    </>
  );
}
