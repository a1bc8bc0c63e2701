// Monitors: work that others run, and that says when it was done.

import { useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";

import { api, take } from "../api/client";
import { When } from "../parts/small";
import { type Defined, type Kind, Kinds } from "./Kinds";

const FRESH = `name: nightly-dump
expr: 30 2 * * *        # or every: 1d
timezone: UTC
grace: 10m              # so late a ping may be
notify:
  channels: [ops]
`;

const MONITORS: Kind = {
  one: "monitor",
  many: "monitors",
  title: "Monitors",
  about: "Work that runs elsewhere and says when it was done. Silence is told.",
  none: "There is no monitor.",
  fresh: FRESH,
  role: "operator",
  live: ["status", "since", "last_ping_at", "last_duration", "started_at", "expected_at", "deadline", "pings", "excused_until", "explanation", "ping_path"],
  columns: [
    ["status", (one) => <span className={one.status === "down" ? "bad" : one.status === "late" ? "warn" : ""}>{String(one.status)}</span>],
    ["last ping", (one) => <When at={one.last_ping_at as string | null} past />],
    ["says", (one) => <span className="dim">{String(one.explanation)}</span>],
  ],
  acts: (one) => <Acts one={one} />,
};

export function Monitors() {
  const { edit } = useSearch({ from: "/in/monitors" });
  const go = useNavigate();
  return <Kinds kind={MONITORS} edit={edit} go={(edit) => void go({ to: "/monitors", search: { edit } })} />;
}

/** Pauses and resumes one, and tells a new key. */
function Acts({ one }: { one: Defined }) {
  const client = useQueryClient();
  const [said, setSaid] = useState<string | null>(null);
  const { name } = one;
  const fault = (fault: unknown) => setSaid(fault instanceof Error ? fault.message : String(fault));
  const act = (paused: boolean) => {
    const params = { params: { path: { name } } };
    const done = paused ? take(api.POST("/monitors/{name}/resume", params)) : take(api.POST("/monitors/{name}/pause", params));
    void done.then(() => client.invalidateQueries()).catch(fault);
  };
  const key = () =>
    void take(api.POST("/monitors/{name}/key", { params: { path: { name } } }))
      .then((made) => setSaid(`${window.location.origin}${made.ping_path}`))
      .catch(fault);
  return (
    <>
      {said && <code role="status">{said}</code>}{" "}
      <button type="button" onClick={() => act(one.status === "paused")}>{one.status === "paused" ? "Resume" : "Pause"}</button>
      <button type="button" onClick={key}>New key</button>
    </>
  );
}
