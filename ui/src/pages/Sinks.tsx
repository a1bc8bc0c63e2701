// Sinks: where events go, and how far each is.

import { useNavigate, useSearch } from "@tanstack/react-router";

import { api, take } from "../api/client";
import { Pause } from "../parts/Pause";
import { type Defined, type Kind, Kinds } from "./Kinds";

const FRESH = `name: audit
type: file              # or redis, postgres, mongodb
# config: {url: {secret: redis-url}, key: "cronapi:events"}    # of redis
# config: {url: {secret: postgres-url}}                        # of postgres
# config: {url: {secret: mongodb-url}}                         # of mongodb
# what: [events, state]                                        # of redis: hashes of jobs and open runs, too
# select: {types: [run], jobs: [nightly-dump]}                 # all by default
`;

const SINKS: Kind = {
  one: "sink",
  many: "sinks",
  title: "Sinks",
  about: "Where the cluster's events go, in the order of the log: files of JSON lines, streams of Redis, rows of PostgreSQL, documents of MongoDB.",
  none: "There is no sink: events stay in the cluster.",
  fresh: FRESH,
  role: "admin",
  live: ["position", "behind", "fault", "since", "node", "paused"],
  columns: [
    ["type", (sink) => String(sink.type), "wide"],
    ["position", (sink) => String(sink.position ?? ""), "wide"],
    ["behind", (sink) => String(sink.behind ?? "")],
    ["state", state],
  ],
  acts: (sink) => <Acts sink={sink} />,
};

function state(sink: Defined) {
  if (sink.paused) return <span className="dim">paused</span>;
  if (sink.fault) return <span className="bad">{String(sink.fault)}</span>;
  return sink.node === null ? <span className="dim">no node writes it</span> : `node ${String(sink.node)} writes`;
}

export function Sinks() {
  const { edit } = useSearch({ from: "/in/sinks" });
  const go = useNavigate();
  return <Kinds kind={SINKS} edit={edit} go={(edit) => void go({ to: "/sinks", search: { edit } })} />;
}

function Acts({ sink }: { sink: Defined }) {
  const path = { params: { path: { name: sink.name } } };
  const act = () => take(sink.paused ? api.POST("/sinks/{name}/resume", path) : api.POST("/sinks/{name}/pause", path));
  return <Pause paused={!!sink.paused} act={act} list="sinks" />;
}
