// Somebody saved while I wrote: each field that differs in three columns, with a choice for those that
// both changed.

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { api, takeWith } from "../api/client";
import { definition } from "../model/definition";
import { type Definition, differing, shown } from "./Changes";
import { Fault, Skeleton } from "./small";

type Choice = "theirs" | "mine";
type Props = { name: string; base: Definition; mine: Definition; done: (merged: Definition, theirs: Definition, etag: string | null) => void };

const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);

export function Conflict({ name, base, mine, done }: Props) {
  const { data, error } = useQuery({
    queryKey: ["theirs", name],
    queryFn: () => takeWith(api.GET("/jobs/{name}", { params: { path: { name } } })),
    staleTime: 0,
    meta: { live: false },
  });
  const [chosen, setChosen] = useState<Record<string, Choice>>({});
  if (error) return <Fault error={error} />;
  if (!data) return <Skeleton rows={3} />;
  const theirs = JSON.parse(definition(data.value)) as Definition;
  const fields = [...new Set([...differing(base, theirs), ...differing(base, mine)])];
  /** What only one changed is that one's; what both changed has to be chosen. */
  const taken = (field: string): Choice | undefined =>
    chosen[field] ?? (same(theirs[field], mine[field]) || same(base[field], mine[field]) ? "theirs" : same(base[field], theirs[field]) ? "mine" : undefined);
  const open = fields.filter((field) => !taken(field));
  const merge = () => {
    const merged: Definition = { ...theirs };
    for (const field of fields) {
      if (taken(field) !== "mine") continue;
      if (mine[field] === undefined) delete merged[field];
      else merged[field] = mine[field];
    }
    done(merged, theirs, data.etag);
  };
  return (
    <section className="conflict panel" aria-label="What both changed">
      <p>
        Somebody saved version {data.value.version} while you wrote. What only one of you changed is taken over;{" "}
        {open.length > 0 ? <b>{open.length === 1 ? "choose for 1 field that both changed." : `choose for ${open.length} fields that both changed.`}</b> : "nothing is left to choose."}
      </p>
      <div className="three" role="table" aria-label="Fields that differ">
        <div role="row" className="three-head">
          <span role="columnheader">field</span>
          <span role="columnheader">when you began</span>
          <span role="columnheader">theirs</span>
          <span role="columnheader">yours</span>
        </div>
        {fields.map((field) => (
          <div role="row" key={field} className={taken(field) ? undefined : "open"}>
            <b role="rowheader">{field}</b>
            <span role="cell" data-side="began">
              <pre>{shown(base[field])}</pre>
            </span>
            {(["theirs", "mine"] as const).map((side) => (
              <label role="cell" key={side} data-side={side === "mine" ? "yours" : "theirs"} className={taken(field) === side ? "taken" : undefined}>
                <input type="radio" name={`take-${field}`} aria-label={`${field}: take ${side === "mine" ? "yours" : "theirs"}`} checked={taken(field) === side} onChange={() => setChosen({ ...chosen, [field]: side })} />
                <pre>{shown((side === "theirs" ? theirs : mine)[field])}</pre>
              </label>
            ))}
          </div>
        ))}
      </div>
      <div className="acts">
        <button type="button" className="solid" disabled={open.length > 0} onClick={merge}>
          Go on with these
        </button>
        <button type="button" onClick={() => done(theirs, theirs, data.etag)}>
          Begin from theirs
        </button>
      </div>
    </section>
  );
}
