// A graph in layers from left to right (Sugiyama): ways back are turned for the while, each job stands
// behind all that lead to it, and within a layer jobs stand where their neighbours are.

import type { Schema } from "../api/client";

export type Edge = Schema["Edge"];
export type Place = { name: string; x: number; y: number };
type Point = { x: number; y: number };
export type Group = { places: Place[]; edges: Edge[]; wide: number; high: number; /** Where an edge goes through between layers. */ via: (edge: Edge) => Point[] };

const SWEEPS = 6;

/** Parts that no way connects, the largest first. */
export function groups(names: string[], edges: Edge[]): { names: string[]; edges: Edge[] }[] {
  const root = new Map(names.map((name) => [name, name]));
  const find = (name: string): string => {
    let at = name;
    while (root.get(at) !== at) {
      const up = root.get(at) ?? at;
      root.set(at, root.get(up) ?? up);
      at = up;
    }
    return at;
  };
  for (const edge of edges) root.set(find(edge.from), find(edge.to));
  const parts = new Map<string, { names: string[]; edges: Edge[] }>();
  for (const name of names) {
    const at = find(name);
    const part = parts.get(at);
    if (part) part.names.push(name);
    else parts.set(at, { names: [name], edges: [] });
  }
  for (const edge of edges) parts.get(find(edge.from))?.edges.push(edge);
  return [...parts.values()].sort((a, b) => b.names.length - a.names.length || (a.names[0] ?? "").localeCompare(b.names[0] ?? "", "en"));
}

/** Which edges lead back to where they came from, found by a walk in depth. */
function forward(names: string[], edges: Edge[]): [string, string][] {
  const out = new Map<string, string[]>();
  for (const edge of edges) if (edge.from !== edge.to) out.set(edge.from, [...(out.get(edge.from) ?? []), edge.to]);
  const state = new Map<string, "open" | "done">();
  const found: [string, string][] = [];
  const entered = new Set(edges.map((edge) => edge.to));
  for (const start of [...names.filter((name) => !entered.has(name)), ...names]) {
    if (state.has(start)) continue;
    const stack: { name: string; next: number }[] = [{ name: start, next: 0 }];
    state.set(start, "open");
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const to = out.get(top.name)?.[top.next++];
      if (to === undefined) {
        state.set(top.name, "done");
        stack.pop();
      } else if (state.get(to) === "open") {
        found.push([to, top.name]);
      } else {
        found.push([top.name, to]);
        if (!state.has(to)) {
          state.set(to, "open");
          stack.push({ name: to, next: 0 });
        }
      }
    }
  }
  return found;
}

export function layout(names: string[], edges: Edge[], wide: number, high: number): Group {
  const ways = forward(names, edges);
  const into = new Map<string, string[]>();
  const out = new Map<string, string[]>();
  for (const [from, to] of ways) {
    into.set(to, [...(into.get(to) ?? []), from]);
    out.set(from, [...(out.get(from) ?? []), to]);
  }
  // The longest way to each: in order of what is ready.
  const depth = new Map<string, number>();
  const waits = new Map(names.map((name) => [name, into.get(name)?.length ?? 0]));
  const ready = names.filter((name) => waits.get(name) === 0);
  for (let at = 0; at < ready.length; at++) {
    const name = ready[at] ?? "";
    depth.set(name, Math.max(0, ...(into.get(name) ?? []).map((before) => (depth.get(before) ?? 0) + 1)));
    for (const next of out.get(name) ?? []) {
      const left = (waits.get(next) ?? 1) - 1;
      waits.set(next, left);
      if (left === 0) ready.push(next);
    }
  }
  // What only leads on stands right before where it leads.
  for (const name of [...ready].reverse()) {
    const next = out.get(name);
    if (next?.length && !(into.get(name)?.length)) depth.set(name, Math.min(...next.map((one) => depth.get(one) ?? 0)) - 1);
  }
  const layers: string[][] = [];
  for (const name of names) {
    const at = Math.max(0, depth.get(name) ?? 0);
    (layers[at] ??= []).push(name);
  }
  // A way over several layers has a place in each between, so that it goes past jobs, not under them.
  const through = new Map<string, string[]>();
  for (const [from, to] of ways) {
    const [a, b] = [depth.get(from) ?? 0, depth.get(to) ?? 0];
    if (b - a < 2 || through.has(`${from}\n${to}`)) continue;
    const stops: string[] = [];
    let before = from;
    into.set(to, (into.get(to) ?? []).filter((one) => one !== from));
    out.set(from, (out.get(from) ?? []).filter((one) => one !== to));
    for (let at = a + 1; at <= b; at++) {
      const stop = at === b ? to : `\n${at}\n${from}\n${to}`;
      out.set(before, [...(out.get(before) ?? []), stop]);
      into.set(stop, [...(into.get(stop) ?? []), before]);
      if (at < b) {
        stops.push(stop);
        (layers[at] ??= []).push(stop);
      }
      before = stop;
    }
    through.set(`${from}\n${to}`, stops);
  }
  const place = new Map<string, number>();
  const number = () => layers.forEach((layer) => layer?.forEach((name, at) => place.set(name, at - (layer.length - 1) / 2)));
  for (const layer of layers) layer?.sort((a, b) => a.localeCompare(b, "en"));
  number();
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const near = sweep % 2 ? out : into;
    const order = sweep % 2 ? [...layers.keys()].reverse() : [...layers.keys()];
    for (const at of order) {
      const middle = new Map<string, number>();
      for (const name of layers[at] ?? []) {
        const others = near.get(name) ?? [];
        middle.set(name, others.length ? others.reduce((sum, one) => sum + (place.get(one) ?? 0), 0) / others.length : (place.get(name) ?? 0));
      }
      layers[at]?.sort((a, b) => (middle.get(a) ?? 0) - (middle.get(b) ?? 0) || a.localeCompare(b, "en"));
      number();
    }
  }
  const tall = Math.max(1, ...layers.map((layer) => layer?.length ?? 0));
  const all = layers.flatMap((layer, column) => (layer ?? []).map((name) => ({ name, x: column * wide, y: ((place.get(name) ?? 0) + (tall - 1) / 2) * high })));
  const at = new Map(all.map((one) => [one.name, one]));
  const via = (edge: Edge) => {
    const stops = through.get(`${edge.from}\n${edge.to}`) ?? [];
    return stops.flatMap((stop) => at.get(stop) ?? []);
  };
  return { places: all.filter((one) => !one.name.startsWith("\n")), edges, wide: layers.length * wide, high: tall * high, via };
}
