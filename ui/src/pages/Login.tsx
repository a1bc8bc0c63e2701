import { useState } from "react";

import { Refusal } from "../api/client";
import { Fault } from "../parts/small";
import { session } from "../session";

export function Login() {
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const enter = async (form: FormData) => {
    setBusy(true);
    setError(null);
    try {
      const answer = await session.login(String(form.get("username")), String(form.get("password")));
      if (!answer.ok) setError(new Refusal(answer.status, (await answer.json().catch(() => ({}))) as object));
    } catch (fault) {
      setError(fault);
    } finally {
      setBusy(false);
    }
  };
  return (
    <main className="login">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void enter(new FormData(event.currentTarget));
        }}
      >
        <h1>CronAPI</h1>
        <label>
          User <input name="username" autoComplete="username" required autoFocus />
        </label>
        <label>
          Password <input name="password" type="password" autoComplete="current-password" required />
        </label>
        <Fault error={error} />
        <button className="solid" disabled={busy}>
          Log in
        </button>
        <p className="dim">
          The first start of a cluster shows the password of <code>admin</code> once, in its terminal. The REST interface is described at <a href="/docs">/docs</a>.
        </p>
      </form>
    </main>
  );
}
