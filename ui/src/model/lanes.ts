// From bars to lanes: which bars stand beside each other, and what of them a pixel can show.

import type { Schema } from "../api/client";
import { type Kind, kindOfStatus } from "./outcome";

export type Bar = Schema["Bar"];
export type Placed = { bar: Bar; from: number; until: number; row: number; kind: Kind };
export type Lane = { key: string; name: string; bars: Placed[]; rows: number; bad: number; planned: number[] };

/** Bars of one lane at a time, under each other; further ones share the last row. */
const ROWS_MAX = 6;

export function began(bar: Bar): number {
  return Date.parse(bar.started_at ?? bar.fired_at);
}

/** Lanes by name, the bars of each placed so that those that overlap stand under each other. */
export function lanes(bars: Bar[], by: "job" | "node", now: number): Lane[] {
  const all = new Map<string, Bar[]>();
  for (const bar of bars) {
    const key = by === "job" ? bar.job : bar.node != null ? `node ${bar.node}` : "no node yet";
    const list = all.get(key);
    if (list) list.push(bar);
    else all.set(key, [bar]);
  }
  return [...all].sort(([a], [b]) => a.localeCompare(b, "en")).map(([name, list]) => lane(name, list, now));
}

function lane(name: string, list: Bar[], now: number): Lane {
  const ends: number[] = [];
  let bad = 0;
  const bars = list
    .map((bar) => ({ bar, from: began(bar), until: bar.finished_at ? Date.parse(bar.finished_at) : now, kind: kindOfStatus(bar.status) }))
    .sort((a, b) => a.from - b.from)
    .map((one) => {
      let row = ends.findIndex((end) => end <= one.from);
      if (row < 0) row = ends.length < ROWS_MAX ? ends.length : ROWS_MAX - 1;
      ends[row] = Math.max(ends[row] ?? 0, one.until);
      if (one.kind === "bad") bad++;
      return { ...one, row };
    });
  return { key: name, name, bars, rows: Math.max(1, ends.length), bad, planned: [] };
}

export type Drawn = { x: number; wide: number; row: number; kind: Kind; count: number; bar: Bar; open: boolean };

const WEIGHT: Partial<Record<Kind, number>> = { bad: 3, run: 2, wait: 1 };

/** What is in the window, in pixels. Bars too small to tell apart become one, the worst on top. */
export function drawn(lane: Lane, from: number, until: number, wide: number, now: number): Drawn[] {
  const scale = wide / (until - from);
  const out: Drawn[] = [];
  const last = new Map<number, Drawn>();
  for (const placed of lane.bars) {
    const end = placed.bar.finished_at ? placed.until : Math.max(now, placed.from);
    if (end < from || placed.from > until) continue;
    const left = Math.max(-2, (placed.from - from) * scale);
    const right = Math.min(wide + 2, (end - from) * scale);
    const one: Drawn = {
      x: left, wide: Math.max(2, right - left), row: placed.row, kind: placed.kind, count: 1, bar: placed.bar, open: !placed.bar.finished_at,
    };
    const before = last.get(one.row);
    if (before && before.wide <= 4 && one.wide <= 4 && one.x - before.x < 3) {
      before.count++;
      before.wide = Math.max(before.wide, one.x + one.wide - before.x);
      if ((WEIGHT[one.kind] ?? 0) > (WEIGHT[before.kind] ?? 0)) before.kind = one.kind;
      continue;
    }
    last.set(one.row, one);
    out.push(one);
  }
  return out;
}

const STEPS = [1, 5, 15, 30, 60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86_400, 7 * 86_400].map((s) => s * 1000);

/** Ticks at round wall times; `wall` gives what a clock shows. */
export function ticks(from: number, until: number, wide: number, wall: (at: number) => number): { at: number; step: number }[] {
  const most = Math.max(2, wide / 90);
  const step = STEPS.find((one) => (until - from) / one <= most) ?? STEPS.at(-1) ?? 1000;
  const offset = wall((from + until) / 2) - (from + until) / 2;
  const first = Math.ceil((from + offset) / step) * step - offset;
  const found = [];
  for (let at = first; at < until; at += step) found.push({ at, step });
  return found;
}
