// Channels: how people are told.

import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";

import { api, take } from "../api/client";
import { type Kind, Kinds } from "./Kinds";

const FRESH = `name: mail
type: email             # or slack, teams, webhook, pagerduty, ntfy
config:
  host: smtp.example.org
  username: cron@example.org
  password: {secret: smtp-password}    # given under Secrets
  from: CronAPI <cron@example.org>
  to: [team@example.org]
`;

const CHANNELS: Kind = {
  one: "channel",
  many: "channels",
  title: "Channels",
  about: "How people are told: mail, Slack, Teams, a webhook, PagerDuty, ntfy. Secrets in them are given by their names.",
  none: "There is no channel: nobody is told of anything.",
  fresh: FRESH,
  role: "admin",
  columns: [["type", (channel) => String(channel.type)]],
  acts: (channel) => <Test name={channel.name} />,
};

export function Channels() {
  const { edit } = useSearch({ from: "/in/channels" });
  const go = useNavigate();
  return <Kinds kind={CHANNELS} edit={edit} go={(edit) => void go({ to: "/channels", search: { edit } })} />;
}

/** Sends a test, and says what came of it. */
function Test({ name }: { name: string }) {
  const [said, setSaid] = useState<{ ok: boolean; text: string } | null>(null);
  const [busy, setBusy] = useState(false);
  const send = async () => {
    setBusy(true);
    setSaid(null);
    try {
      const test = await take(api.POST("/channels/{name}/test", { params: { path: { name } } }));
      setSaid({ ok: test.ok, text: `${test.ok ? "taken" : "not taken"} after ${test.latency_ms} ms: ${test.detail}` });
    } catch (fault) {
      setSaid({ ok: false, text: fault instanceof Error ? fault.message : String(fault) });
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      {said && <span role="status" className={said.ok ? "dim" : "bad"}>{said.text}</span>}{" "}
      <button type="button" disabled={busy} onClick={() => void send()}>Send a test</button>
    </>
  );
}
