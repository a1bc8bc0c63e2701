// Rules: which troubles of which jobs and monitors, and of the cluster, are told, and to whom.

import { useNavigate, useSearch } from "@tanstack/react-router";

import { type Kind, Kinds } from "./Kinds";

const FRESH = `name: nightly
on: [failed, missed, recovered]
channels: [ops]
match: {tags: [nightly]}       # or jobs: ["etl-*"], monitors: [tape]; of all by default
group_by: job                  # or rule: one incident for all of them
# on: [node_lost, sink_behind, recovered] is of the cluster, without match
# min_failures: 2              # in a row, before it is told
# repeat: 4h                   # until somebody acknowledges it
`;

const list = (value: unknown) => (Array.isArray(value) ? value.join(", ") : "");

function matched(value: unknown): string {
  const match = value as { jobs?: string[]; tags?: string[]; monitors?: string[] } | null | undefined;
  const parts = [...(match?.jobs ?? []), ...(match?.tags ?? []).map((tag) => `tag ${tag}`), ...(match?.monitors ?? []).map((one) => `monitor ${one}`)];
  return parts.length ? parts.join(", ") : "all";
}

const RULES: Kind = {
  one: "rule",
  many: "rules",
  title: "Rules",
  about: "Which troubles of which jobs and monitors, and of the cluster itself, are told, and to whom. A job's own field notify stands beside them.",
  none: "There is no rule: only jobs and monitors with the field notify tell of themselves.",
  fresh: FRESH,
  role: "operator",
  columns: [
    ["of", (rule) => matched(rule.match)],
    ["on", (rule) => list(rule.on)],
    ["told to", (rule) => list(rule.channels)],
  ],
};

export function Rules() {
  const { edit } = useSearch({ from: "/in/rules" });
  const go = useNavigate();
  return <Kinds kind={RULES} edit={edit} go={(edit) => void go({ to: "/rules", search: { edit } })} />;
}
