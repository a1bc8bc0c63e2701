import { useEffect, useState } from "react";

import { Refusal } from "../api/client";
import { Fault } from "../parts/small";
import { session } from "../session";

/** Why a login at the provider ended outside, by the code of the problem. */
const REFUSED: Record<string, string> = {
  forbidden: "The provider knows you, and no group of yours has a role here. Ask an admin of this cluster.",
  exists: "Your name is that of another account here. Ask an admin of this cluster.",
  unavailable: "The provider can't be asked just now. Try again in a moment.",
  "too-many-requests": "There were too many tries from your address. Try again in a moment.",
};
const AGAIN = "The login took too long, or was not begun here. Begin again.";

/** What came back behind the address, which is cleaned. */
function refused(): string | null {
  const code = /^#refused=([\w-]{1,40})$/.exec(location.hash)?.[1];
  if (!code) return null;
  history.replaceState(history.state, "", location.pathname + location.search);
  return REFUSED[code] ?? AGAIN;
}

export function Login() {
  const [error, setError] = useState<unknown>(() => {
    const why = refused();
    return why ? new Error(why) : null;
  });
  const [busy, setBusy] = useState(false);
  const [provider, setProvider] = useState<string | null>(null);
  useEffect(() => {
    const stop = new AbortController();
    fetch("/", { headers: { Accept: "application/json" }, signal: stop.signal })
      .then((answer) => answer.json() as Promise<{ provider?: string }>)
      .then((index) => setProvider(index.provider ?? null))
      .catch(() => undefined);
    return () => stop.abort();
  }, []);
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
        {provider && (
          <>
            <a className="button solid" href={`${provider}?return_to=${encodeURIComponent(location.pathname + location.search)}`}>
              Log in at the provider
            </a>
            <p className="dim">or with a password of this cluster</p>
          </>
        )}
        <label>
          User <input name="username" autoComplete="username" required autoFocus />
        </label>
        <label>
          Password <input name="password" type="password" autoComplete="current-password" required />
        </label>
        <Fault error={error} />
        <button className={provider ? undefined : "solid"} disabled={busy}>
          Log in
        </button>
        <p className="dim">
          The first start of a cluster shows the password of <code>admin</code> once, in its terminal. The REST interface is described at <a href="/docs">/docs</a>.
        </p>
      </form>
    </main>
  );
}
