// Small pieces that every page uses.

import { type ReactNode, useId, useRef, useState } from "react";

import { Refusal } from "../api/client";
import { kindOfStatus, words } from "../model/outcome";
import { absolute, ago, clock, until } from "../model/time";
import { useNow } from "../model/now";
import type { Run } from "../api/client";

/** An instant: relative where it is glanced at, absolute on hover. */
export function When({ at, past = false }: { at: string | null | undefined; past?: boolean }) {
  const now = useNow();
  if (!at) return <span className="faint">never</span>;
  const distance = Date.parse(at) - now;
  const text = past || distance < 0 ? ago(-distance) : until(distance);
  return (
    <time dateTime={at} title={`${absolute(at)}\n${absolute(at, "UTC")}`}>
      {text}
    </time>
  );
}

/** An instant as a clock shows it. */
export function Clock({ at }: { at: string }) {
  return (
    <time dateTime={at} title={`${absolute(at)}\n${absolute(at, "UTC")}`}>
      {clock(at)}
    </time>
  );
}

/** The status of a run: a mark, a colour and a word. */
export function Status({ status }: { status: Run["status"] }) {
  return (
    <span className={`status ${kindOfStatus(status)}`}>
      <i aria-hidden />
      {words(status)}
    </span>
  );
}

/** The fields that a refusal complains of. */
export function faultsOf(error: unknown) {
  return error instanceof Refusal ? (error.problem.errors ?? []) : [];
}

/** What went wrong, said by a person: what, why and what to do; the fields of a form that it names. */
export function Fault({ error, again }: { error: unknown; again?: () => void }) {
  if (!error) return null;
  const faults = faultsOf(error);
  return (
    <div className="fault" role="alert">
      <p>{error instanceof Error ? error.message : String(error)}</p>
      {faults.length > 1 && (
        <ul>
          {faults.map((fault) => (
            <li key={fault.pointer + fault.detail}>
              <code>{fault.pointer}</code> {fault.detail}
            </li>
          ))}
        </ul>
      )}
      {again && (
        <button type="button" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}

/** Copies a text and says so. */
export function Copy({ text, children }: { text: string; children: ReactNode }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setDone(true);
    setTimeout(() => setDone(false), 1500);
  };
  return (
    <button type="button" className="quiet" onClick={() => void copy()}>
      {done ? "copied" : children}
    </button>
  );
}

/** The same act outside the page: with curl, and with the command line. */
export function AsCommand({ curl, cli }: { curl: string; cli?: string }) {
  const origin = location.origin;
  const text = `curl -sS ${curl.replaceAll("$URL", origin)} -H "Authorization: Bearer $TOKEN"`;
  return (
    <span className="copies">
      <Copy text={text}>copy as curl</Copy>
      {cli && <Copy text={cli}>copy as cronapi</Copy>}
    </span>
  );
}

/** A word of a shell. */
export function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** How an act is done outside the page: the request, and the command. */
export type Same = { method: string; path: string; body?: unknown; cli?: string };

/** The same act with curl. */
export function asCurl({ method, path, body }: Same): string {
  return `-X ${method} ${quoted(`$URL${path}`).replaceAll("'", '"')}${body === undefined ? "" : ` --json ${quoted(JSON.stringify(body))}`}`;
}

type AskProps = {
  /** The button that opens it. */
  label: string;
  title: string;
  /** What it will do, in numbers. */
  children: ReactNode;
  /** The same outside the page. Secrets are never in it. */
  same?: Same;
  /** Must be typed, for what can't be undone. */
  confirm?: string;
  act: () => Promise<unknown>;
  danger?: boolean;
  disabled?: boolean;
};

/** A button that says what it will do before it does it. */
export function Ask({ label, title, children, same, confirm, act, danger, disabled }: AskProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [typed, setTyped] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const head = useId();
  const close = () => dialog.current?.close();
  const go = async () => {
    setBusy(true);
    setError(null);
    try {
      await act();
      close();
    } catch (fault) {
      setError(fault);
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <button
        type="button"
        className={danger ? "danger" : undefined}
        disabled={disabled}
        onClick={() => {
          setTyped("");
          setError(null);
          dialog.current?.showModal();
        }}
      >
        {label}
      </button>
      <dialog ref={dialog} aria-labelledby={head}>
        <form
          method="dialog"
          onSubmit={(event) => {
            event.preventDefault();
            void go();
          }}
        >
          <h2 id={head}>{title}</h2>
          {children}
          {confirm && (
            <label>
              <span>
                Type <code>{confirm}</code> to go on
              </span>
              <input value={typed} onChange={(event) => setTyped(event.target.value)} autoComplete="off" spellCheck={false} />
            </label>
          )}
          <Fault error={error} />
          {same && <AsCommand curl={asCurl(same)} cli={same.cli} />}
          <div className="acts">
            <button type="button" onClick={close}>
              Cancel
            </button>
            <button className={danger ? "danger solid" : "solid"} disabled={busy || (!!confirm && typed !== confirm)}>
              {label}
            </button>
          </div>
        </form>
      </dialog>
    </>
  );
}

/** A page's head: its name, a line about it, what can be done. */
export function Head({ title, about, children }: { title: ReactNode; about?: ReactNode; children?: ReactNode }) {
  return (
    <header className="head">
      <div>
        <h1>{title}</h1>
        {about && <p className="dim">{about}</p>}
      </div>
      {children && <div className="acts">{children}</div>}
    </header>
  );
}

/** Lines that stand for rows on the very first load. */
export function Skeleton({ rows = 6 }: { rows?: number }) {
  return (
    <div aria-busy="true" aria-label="loading">
      {Array.from({ length: rows }, (_, index) => (
        <div key={index} className="skeleton row" />
      ))}
    </div>
  );
}
