// Days and hours as clocks of the reader's zone show them.

import { zone } from "./time";

const formats = new Map<string, Intl.DateTimeFormat>();

function parts(at: number): Record<string, number> {
  const name = zone();
  let format = formats.get(name);
  if (!format) {
    format = new Intl.DateTimeFormat("en-GB", {
      timeZone: name, hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
    });
    formats.set(name, format);
  }
  return Object.fromEntries(format.formatToParts(at).map((part) => [part.type, Number(part.value)]));
}

/** What a clock shows, counted as if it were UTC. */
export function wall(at: number): number {
  const p = parts(at);
  return Date.UTC(p.year ?? 0, (p.month ?? 1) - 1, p.day ?? 1, p.hour ?? 0, p.minute ?? 0, p.second ?? 0);
}

/** The first instant that shows a wall time or a later one. */
export function instant(shown: number): number {
  let at = shown - (wall(shown) - shown);
  at = shown - (wall(at) - at);
  return at;
}

const DAY = 86_400_000;

/** `2026-11-29` of an instant. */
export function day(at: number): string {
  return new Date(wall(at)).toISOString().slice(0, 10);
}

export function addDays(date: string, days: number): string {
  return new Date(Date.parse(`${date}T00:00:00Z`) + days * DAY).toISOString().slice(0, 10);
}

/** The instant at which a day begins. */
export function begin(date: string): number {
  return instant(Date.parse(`${date}T00:00:00Z`));
}

/** `Sun 29 Nov`. */
export function dayName(date: string, options: Intl.DateTimeFormatOptions = { weekday: "short", day: "numeric", month: "short" }): string {
  return new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", ...options }).format(Date.parse(`${date}T00:00:00Z`));
}

export function iso(at: number): string {
  return new Date(at).toISOString().replace(/\.000Z$/, "Z");
}
