// Channels: how people are told.

import { useNavigate, useSearch } from "@tanstack/react-router";

import { api, take } from "../api/client";
import { Tried } from "../parts/Tried";
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
  acts: ({ name }) => <Tried send={() => take(api.POST("/channels/{name}/test", { params: { path: { name } } }))} />,
};

export function Channels() {
  const { edit } = useSearch({ from: "/in/channels" });
  const go = useNavigate();
  return <Kinds kind={CHANNELS} edit={edit} go={(edit) => void go({ to: "/channels", search: { edit } })} />;
}
