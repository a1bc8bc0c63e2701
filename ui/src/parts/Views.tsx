// Saved views: addresses of a page with its filters, under names, kept in this browser.

import { useNavigate, useRouterState } from "@tanstack/react-router";
import { useId, useRef, useState } from "react";

type View = { page: string; name: string; search: Record<string, unknown> };
const KEY = "views";
const MOST = 50;

function read(): View[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(found) ? (found as View[]) : [];
  } catch {
    return [];
  }
}

export function Views({ page }: { page: string }) {
  const go = useNavigate();
  const search = useRouterState({ select: (state) => state.location.search as Record<string, unknown> });
  const dialog = useRef<HTMLDialogElement>(null);
  const [all, setAll] = useState(read);
  const [name, setName] = useState("");
  const head = useId();
  const own = all.filter((view) => view.page === page);
  const now = own.find((view) => JSON.stringify(view.search) === JSON.stringify(search));
  const keep = (views: View[]) => {
    localStorage.setItem(KEY, JSON.stringify(views));
    setAll(views);
  };
  const save = () => {
    const rest = all.filter((view) => view.page !== page || view.name !== name.trim());
    keep([...rest, { page, name: name.trim(), search }].slice(-MOST));
    dialog.current?.close();
  };
  return (
    <>
      {own.length > 0 && (
        <label>
          view{" "}
          <select
            value={now?.name ?? ""}
            onChange={(event) => {
              const view = own.find((one) => one.name === event.target.value);
              void go({ to: page, search: view?.search ?? {} });
            }}
          >
            <option value="">{now ? "all" : "–"}</option>
            {own.map((view) => (
              <option key={view.name}>{view.name}</option>
            ))}
          </select>
        </label>
      )}
      {now ? (
        <button type="button" className="quiet" onClick={() => keep(all.filter((view) => view !== now))}>
          forget this view
        </button>
      ) : (
        Object.keys(search).length > 0 && (
          <button
            type="button"
            className="quiet"
            onClick={() => {
              setName("");
              dialog.current?.showModal();
            }}
          >
            save this view
          </button>
        )
      )}
      <dialog ref={dialog} aria-labelledby={head}>
        <form
          method="dialog"
          onSubmit={(event) => {
            event.preventDefault();
            save();
          }}
        >
          <h2 id={head}>Save this view</h2>
          <p>Its filters under a name, in this browser. The address itself can be given to others.</p>
          <label>
            Name
            <input value={name} maxLength={60} required onChange={(event) => setName(event.target.value)} />
          </label>
          <div className="acts">
            <button type="button" onClick={() => dialog.current?.close()}>
              Cancel
            </button>
            <button className="solid" disabled={!name.trim()}>
              Save
            </button>
          </div>
        </form>
      </dialog>
    </>
  );
}
