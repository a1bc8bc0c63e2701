// Triggers: what starts runs from outside, and how far each was read.

import { Link, useNavigate, useSearch } from "@tanstack/react-router";

import { api, take } from "../api/client";
import { Pause } from "../parts/Pause";
import { type Defined, type Kind, Kinds } from "./Kinds";

const FRESH = `name: orders
type: redis_stream
config:
  # url: {secret: redis-url}     # REDIS_URL of the node that reads, by default
  stream: shop:orders
job: pack-order                  # each entry starts one run of it
`;

const TRIGGERS: Kind = {
  one: "trigger",
  many: "triggers",
  title: "Triggers",
  about: "What starts runs from outside: each entry of a stream of Redis starts one, once.",
  none: "There is no trigger: runs are started by schedules, by other jobs, and by whoever asks.",
  fresh: FRESH,
  role: "admin",
  live: ["position", "refused", "last_refused", "fault", "since", "node", "paused"],
  columns: [
    ["job", (trigger) => <Link to="/jobs/$name" params={{ name: String(trigger.job) }}>{String(trigger.job)}</Link>],
    ["state", state],
    ["last entry", (trigger) => (trigger.position === "0-0" ? <span className="dim">none yet</span> : String(trigger.position ?? "")), "wide"],
    ["refused", (trigger) => <span title={String(trigger.last_refused ?? "")} className={trigger.refused ? "bad" : "dim"}>{String(trigger.refused ?? 0)}</span>, "wide"],
  ],
  acts: (trigger) => <Acts trigger={trigger} />,
};

function state(trigger: Defined) {
  if (trigger.paused) return <span className="dim">paused</span>;
  if (trigger.fault) return <span className="bad">{String(trigger.fault)}</span>;
  return trigger.node === null ? <span className="dim">no node reads it</span> : `node ${String(trigger.node)} reads`;
}

export function Triggers() {
  const { edit } = useSearch({ from: "/in/triggers" });
  const go = useNavigate();
  return <Kinds kind={TRIGGERS} edit={edit} go={(edit) => void go({ to: "/triggers", search: { edit } })} />;
}

function Acts({ trigger }: { trigger: Defined }) {
  const path = { params: { path: { name: trigger.name } } };
  const act = () => take(trigger.paused ? api.POST("/triggers/{name}/resume", path) : api.POST("/triggers/{name}/pause", path));
  return <Pause paused={!!trigger.paused} act={act} list="triggers" />;
}
