// A button that sends a test, and says what came of it.

import { useState } from "react";

import type { Schema } from "../api/client";

export function Tried({ send }: { send: () => Promise<Schema["ChannelTest"]> }) {
  const [said, setSaid] = useState<{ ok: boolean; text: string } | null>(null);
  const [busy, setBusy] = useState(false);
  const go = async () => {
    setBusy(true);
    setSaid(null);
    try {
      const test = await send();
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
      <button type="button" disabled={busy} onClick={() => void go()}>Send a test</button>
    </>
  );
}
