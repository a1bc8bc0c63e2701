// Keys that work everywhere, but where somebody types.

import { useNavigate } from "@tanstack/react-router";
import { useEffect } from "react";

export const PLACES = [
  ["o", "/", "Overview"],
  ["j", "/jobs", "Jobs"],
  ["r", "/runs", "Runs"],
  ["i", "/timeline", "Timeline"],
  ["m", "/calendar", "Calendar"],
  ["g", "/graph", "Graph"],
  ["e", "/incidents", "Incidents"],
  ["c", "/cluster", "Cluster"],
  ["q", "/queues", "Queues"],
  ["h", "/channels", "Channels"],
  ["k", "/sinks", "Sinks"],
  ["x", "/triggers", "Triggers"],
  ["w", "/monitors", "Monitors"],
  ["l", "/rules", "Rules"],
  ["d", "/windows", "Windows"],
  ["s", "/secrets", "Secrets"],
  ["a", "/audit", "Audit"],
  ["u", "/users", "Users"],
  ["t", "/tokens", "API tokens"],
] as const;

export const KEYS: [string, string][] = [
  ["Ctrl K", "find a job, or go anywhere"],
  ["/", "find on this page"],
  ["j k", "the next row, the one before; Enter opens it"],
  ...PLACES.map(([key, , name]): [string, string] => [`g ${key}`, name]),
  ["n", "write a job"],
  ["?", "this help"],
];

function typing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName));
}

/** The row that has the focus moves by one. */
function step(by: 1 | -1): void {
  const rows = [...document.querySelectorAll<HTMLElement>("[data-row]")];
  const at = rows.indexOf(document.activeElement as HTMLElement);
  rows[Math.max(0, Math.min(rows.length - 1, at < 0 ? 0 : at + by))]?.focus();
}

export function useKeys(palette: () => void): void {
  const go = useNavigate();
  useEffect(() => {
    let before = "";
    const press = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        palette();
        return;
      }
      if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || document.querySelector("dialog[open]")) return;
      const place = before === "g" ? PLACES.find(([key]) => key === event.key) : undefined;
      before = event.key;
      if (place) void go({ to: place[1] });
      else if (event.key === "/") {
        const field = document.querySelector<HTMLInputElement>("[data-search]");
        if (field) {
          event.preventDefault();
          field.focus();
        }
      } else if (event.key === "j") step(1);
      else if (event.key === "k") step(-1);
      else if (event.key === "n") void go({ to: "/new" });
      else if (event.key === "?") void go({ to: "/help" });
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, [go, palette]);
}
