// What a nominal time, or a run, came to: a word, a colour and a shape for each, so that none is
// told by colour alone.

import type { Cell, Run } from "../api/client";

export type Kind = "ok" | "bad" | "skip" | "miss" | "wait" | "run" | "past" | "plan";

/** The words of the kinds, in the order of the legend. */
export const WORDS: Record<Kind, string> = {
  ok: "succeeded", bad: "failed", run: "running", wait: "waiting", skip: "skipped", miss: "missed",
  past: "no longer kept", plan: "to come",
};

const OF_STATUS: Record<Run["status"], Kind> = {
  waiting: "wait", queued: "wait", assigned: "run", running: "run", succeeded: "ok", failed: "bad",
  timed_out: "bad", cancelled: "skip", lost: "bad", skipped: "skip",
};

export function kindOfStatus(status: Run["status"]): Kind {
  return OF_STATUS[status];
}

/** Reasons of times that passed undecided: what `cronapi_missed_fires_total` counts. */
const MISSED: (string | null | undefined)[] = ["limit", "misfire", "window_passed"];

export function kindOf(cell: Cell): Kind {
  if (cell.outcome === "fired") return cell.status ? OF_STATUS[cell.status] : "past";
  if (cell.outcome === "skipped" && MISSED.includes(cell.reason)) return "miss";
  return "skip";
}

export function words(text: string): string {
  return text.replaceAll("_", " ");
}

/** The cell in words, as a screen reader and a tooltip tell it. */
export function tell(cell: Cell): string {
  if (cell.outcome === "fired") return words(cell.status ?? "fired");
  const why = cell.reason ? `: ${words(cell.reason)}` : "";
  const many = cell.until ? (cell.count ? `${cell.count.toLocaleString("en")} times ` : "a range ") : "";
  return `${many}${cell.outcome}${why}`;
}
