// One act on many: says first how many it will hit, then does it a few at a time, and tells which of
// them it could not.

import { useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useId, useRef, useState } from "react";

/** Requests under way at a time. */
const BESIDE = 4;

type BulkProps = {
  label: string;
  /** What is chosen: each with what it is called. */
  items: { key: string; name: string }[];
  /** `job`, `run`. */
  noun: string;
  /** What it will do, in numbers. */
  children: ReactNode;
  act: (key: string) => Promise<unknown>;
  danger?: boolean;
  done?: () => void;
};

type Failed = { name: string; why: string };

export function counted(count: number, noun: string): string {
  return `${count.toLocaleString("en")} ${count === 1 ? noun : `${noun}s`}`;
}

export function Bulk({ label, items, noun, children, act, danger, done }: BulkProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const client = useQueryClient();
  const [typed, setTyped] = useState("");
  const [at, setAt] = useState<number | null>(null);
  const [failed, setFailed] = useState<Failed[] | null>(null);
  const head = useId();
  const asked = danger ? String(items.length) : "";
  const go = async () => {
    setFailed(null);
    setAt(0);
    const left = [...items];
    const refused: Failed[] = [];
    let count = 0;
    const one = async () => {
      for (let item = left.shift(); item; item = left.shift()) {
        try {
          await act(item.key);
        } catch (error) {
          refused.push({ name: item.name, why: error instanceof Error ? error.message : String(error) });
        }
        setAt(++count);
      }
    };
    await Promise.all(Array.from({ length: BESIDE }, one));
    await client.invalidateQueries();
    setAt(null);
    if (refused.length > 0) {
      setFailed(refused);
      return;
    }
    dialog.current?.close();
    done?.();
  };
  return (
    <>
      <button
        type="button"
        className={danger ? "danger" : undefined}
        disabled={items.length === 0}
        onClick={() => {
          setTyped("");
          setFailed(null);
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
          <h2 id={head}>
            {label} {counted(items.length, noun)}
          </h2>
          {children}
          <p className="dim">
            {items.slice(0, 5).map((item) => item.name).join(", ")}
            {items.length > 5 && `, and ${(items.length - 5).toLocaleString("en")} more`}
          </p>
          {danger && (
            <label>
              <span>
                Type how many, <code>{asked}</code>, to go on
              </span>
              <input value={typed} onChange={(event) => setTyped(event.target.value)} autoComplete="off" inputMode="numeric" />
            </label>
          )}
          {at !== null && (
            <p role="status">
              {at.toLocaleString("en")} of {items.length.toLocaleString("en")} done <progress max={items.length} value={at} aria-label="done" />
            </p>
          )}
          {failed && (
            <div className="fault" role="alert">
              <p>
                {counted(items.length - failed.length, noun)} done, {failed.length.toLocaleString("en")} refused:
              </p>
              <ul>
                {failed.slice(0, 10).map((one) => (
                  <li key={one.name}>
                    <b>{one.name}</b>: {one.why}
                  </li>
                ))}
              </ul>
            </div>
          )}
          <div className="acts">
            <button type="button" onClick={() => dialog.current?.close()}>
              {failed ? "Close" : "Cancel"}
            </button>
            {!failed && (
              <button className={danger ? "danger solid" : "solid"} disabled={at !== null || (danger && typed !== asked)}>
                {label} {counted(items.length, noun)}
              </button>
            )}
          </div>
        </form>
      </dialog>
    </>
  );
}

/** What is chosen in a list. */
export function useChosen() {
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const last = useRef<string | null>(null);
  /** With Shift all from the one chosen last to this. */
  const toggle = (key: string, order: string[], shift: boolean) => {
    const from = last.current ?? "";
    last.current = key;
    setChosen((old) => {
      const next = new Set(old);
      const on = !old.has(key);
      const [a, b] = [order.indexOf(from), order.indexOf(key)];
      const range = shift && a >= 0 && b >= 0 ? order.slice(Math.min(a, b), Math.max(a, b) + 1) : [key];
      for (const one of range) if (on) next.add(one);
        else next.delete(one);
      return next;
    });
  };
  return { chosen, toggle, set: setChosen, clear: () => setChosen(new Set()) };
}
