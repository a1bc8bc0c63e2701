// What this browser shows: its zone, its theme, what it is told; and the password.

import { useState } from "react";

import { api, take } from "../api/client";
import { absolute, zone } from "../model/time";
import { Push } from "../parts/Push";
import { Ask, Head } from "../parts/small";
import { type Theme, setTheme, theme } from "../theme";
import { useWho } from "../who";

export function Settings() {
  const who = useWho();
  const [zoneNow, setZone] = useState(zone());
  const [themeNow, setThemeNow] = useState<Theme>(theme());
  const [old, setOld] = useState("");
  const [fresh, setFresh] = useState("");
  const zones = Intl.supportedValuesOf("timeZone");
  return (
    <>
      <Head title="Settings" about={who ? `${who.user}, ${who.role}` : undefined} />
      <div className="form">
        <label>
          Zone in which times are shown
          <select
            value={zoneNow}
            onChange={(event) => {
              localStorage.setItem("zone", event.target.value);
              setZone(event.target.value);
            }}
          >
            {["UTC", ...zones].map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
          <span className="dim">now {absolute(Date.now(), zoneNow)}</span>
        </label>
        <label>
          Theme
          <select
            value={themeNow}
            onChange={(event) => {
              const wanted = event.target.value as Theme;
              setTheme(wanted);
              setThemeNow(wanted);
            }}
          >
            <option value="system">as the system</option>
            <option value="light">light</option>
            <option value="dark">dark</option>
          </select>
        </label>
        <Ask
          label="Change the password"
          title="Change the password"
          same={{ method: "PUT", path: "/auth/password", body: { old_password: "…", new_password: "…" } }}
          act={() => take(api.PUT("/auth/password", { body: { old_password: old, new_password: fresh } }))}
        >
          <p>Every session of {who?.user} ends, this one too.</p>
          <label>
            Present password <input type="password" autoComplete="current-password" value={old} onChange={(event) => setOld(event.target.value)} />
          </label>
          <label>
            New password <input type="password" autoComplete="new-password" minLength={8} value={fresh} onChange={(event) => setFresh(event.target.value)} />
          </label>
        </Ask>
      </div>
      <Push />
    </>
  );
}
