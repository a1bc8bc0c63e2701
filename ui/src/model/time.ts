// Times as people read them: relative where they are glanced at, absolute in the reader's zone, and
// always with the means to see both.

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A span in at most two units: `4 s`, `2 m 10 s`, `3 h`, `8 d`. */
export function span(ms: number): string {
  const value = Math.abs(ms);
  if (value < SECOND) return `${Math.round(value)} ms`;
  if (value < MINUTE) {
    const seconds = value / SECOND;
    return seconds < 10 ? `${seconds.toFixed(1).replace(/\.0$/, "")} s` : `${Math.floor(seconds)} s`;
  }
  const two = (big: number, name: string, small: number, rest: string) => {
    const whole = Math.floor(value / big);
    const left = Math.floor((value % big) / small);
    return left && whole < 10 ? `${whole} ${name} ${left} ${rest}` : `${whole} ${name}`;
  };
  if (value < HOUR) return two(MINUTE, "m", SECOND, "s");
  if (value < DAY) return two(HOUR, "h", MINUTE, "m");
  return two(DAY, "d", HOUR, "h");
}

/** A countdown that does not jitter: whole units only. */
export function until(ms: number): string {
  if (ms <= 0) return "now";
  if (ms < MINUTE) return `in ${Math.ceil(ms / SECOND)} s`;
  if (ms < HOUR) return `in ${Math.ceil(ms / MINUTE)} m`;
  if (ms < 2 * DAY) return `in ${Math.round(ms / HOUR)} h`;
  return `in ${Math.round(ms / DAY)} d`;
}

export function ago(ms: number): string {
  if (ms < 5 * SECOND) return "just now";
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s ago`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} m ago`;
  if (ms < 2 * DAY) return `${Math.floor(ms / HOUR)} h ago`;
  return `${Math.floor(ms / DAY)} d ago`;
}

/** Asked once: a list of strips needs it thousands of times, and the browser takes long to tell. */
const here = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

export function zone(): string {
  return localStorage.getItem("zone") || here;
}

/** An instant of the server in the job's zone, `2026-11-30T02:15:00+00:00`, as a wall clock there shows it. */
export function wall(local: string): string {
  return `${local.slice(0, 10)} ${local.slice(11, 19)}`;
}

/** Whether the reader's clock shows the same then. */
export function sameWall(local: string): boolean {
  const here = new Date(local).toLocaleString("sv-SE", { timeZone: zone() });
  return here === wall(local);
}

const formats = new Map<string, Intl.DateTimeFormat>();

function format(timeZone: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = timeZone + JSON.stringify(options);
  let found = formats.get(key);
  if (!found) {
    found = new Intl.DateTimeFormat("en-GB", { timeZone, hourCycle: "h23", ...options });
    formats.set(key, found);
  }
  return found;
}

/** `Sat 28 Nov 2026, 22:16:36 GMT`. */
export function absolute(at: string | number | Date, timeZone = zone()): string {
  return format(timeZone, {
    weekday: "short", day: "2-digit", month: "short", year: "numeric",
    hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short",
  }).format(new Date(at));
}

/** `22:16:36`, with the day when it is not today. */
export function clock(at: string | number | Date, now = Date.now(), timeZone = zone()): string {
  const date = new Date(at);
  const time = format(timeZone, { hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(date);
  const day = format(timeZone, { day: "2-digit", month: "short" });
  return day.format(date) === day.format(new Date(now)) ? time : `${day.format(date)} ${time}`;
}

/** As much of a run's id as tells it from others: ids begin with the time, to the millisecond. */
export function short(id: string): string {
  return id.slice(0, 13);
}
