// Windows: times within which notices are held back.

import { useNavigate, useSearch } from "@tanstack/react-router";

import { When } from "../parts/small";
import { type Kind, Kinds } from "./Kinds";

const FRESH = `name: nights
expr: 0 22 * * *        # or from: and to:, once
duration: 8h
timezone: UTC
mode: defer             # one summary at its end; mute: never
reason: it can wait
# match: {jobs: ["etl-*"], tags: [batch]}                      # all by default
`;

const WINDOWS: Kind = {
  one: "window",
  many: "windows",
  title: "Windows",
  about: "Times within which notices are not sent, or wait for the end. Work goes on, and incidents open as ever.",
  none: "There is no window: notices are sent at any time.",
  fresh: FRESH,
  role: "operator",
  live: ["active", "until", "deferred"],
  columns: [
    ["mode", (one) => String(one.mode ?? "mute")],
    ["now", (one) => (one.active ? <span className="warn">open</span> : <span className="dim">not open</span>)],
    ["until", (one) => <When at={one.until as string | null} />],
    ["waiting", (one) => String(one.deferred ?? "")],
    ["reason", (one) => <span className="dim">{String(one.reason ?? "")}</span>],
  ],
};

export function Windows() {
  const { edit } = useSearch({ from: "/in/windows" });
  const go = useNavigate();
  return <Kinds kind={WINDOWS} edit={edit} go={(edit) => void go({ to: "/windows", search: { edit } })} />;
}
