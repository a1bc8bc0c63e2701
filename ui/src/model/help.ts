// What may stand at a place of a definition in YAML, by the schemas of the REST interface; and where
// in the text a field stands that the server complains of. Block style only: within `{}` nothing is
// offered.

import { isMap, isPair, isScalar, isSeq, parseDocument } from "yaml";

export type Schemas = Record<string, unknown>;
/** A word that may be written, and what it is for. */
export type Offer = { word: string; about: string; of: "field" | "value" };

type Shape = {
  $ref?: string;
  type?: string | string[];
  description?: string;
  enum?: unknown[];
  const?: unknown;
  properties?: Record<string, Shape>;
  items?: Shape;
  anyOf?: Shape[];
  oneOf?: Shape[];
};

const DEEPEST = 12;

/** The shapes that a schema stands for: references followed, choices laid open, null left out. */
function shapes(schemas: Schemas, shape: Shape | undefined, depth = 0): Shape[] {
  if (!shape || depth > DEEPEST) return [];
  if (shape.$ref) return shapes(schemas, schemas[shape.$ref.split("/").at(-1) ?? ""] as Shape, depth + 1);
  const choices = shape.anyOf ?? shape.oneOf;
  if (choices) return choices.flatMap((choice) => shapes(schemas, choice, depth + 1));
  return shape.type === "null" ? [] : [shape];
}

/** Of shapes that are told apart by their `type`, those that fit what is written. */
function fitting(schemas: Schemas, among: Shape[], written: unknown): Shape[] {
  const type = written && typeof written === "object" ? (written as Record<string, unknown>).type : undefined;
  if (typeof type !== "string") return among;
  const fit = among.filter((shape) => shapes(schemas, shape.properties?.type).some((kind) => kind.const === type || kind.enum?.includes(type)));
  return fit.length > 0 ? fit : among;
}

/** A field, or the number of an item of a list; `block`: text follows, whatever it looks like. */
type Step = { column: number; step: string | number; block: boolean };

/** The fields that lead to the caret, as the indents of the lines above it say; null within a block of text. */
function pathTo(lines: string[], column: number): Step["step"][] | null {
  const stack: Step[] = [];
  lines.forEach((line, row) => {
    const last = row === lines.length - 1;
    if (!last && (!line.trim() || line.trim().startsWith("#"))) return;
    let at = line.search(/\S|$/);
    while (stack.at(-1)?.block && at <= (stack.at(-1)?.column ?? 0)) stack.pop();
    if (stack.at(-1)?.block) return;
    for (; line[at] === "-" && /[ \n]|^$/.test(line[at + 1] ?? ""); at += 2) {
      // The items of a list may stand as far left as its name.
      let item = 0;
      for (let top = stack.at(-1); top && (top.column > at || (top.column === at && typeof top.step === "number")); top = stack.at(-1)) {
        if (top.column === at && typeof top.step === "number") item = top.step + 1;
        stack.pop();
      }
      stack.push({ column: at, step: item, block: false });
    }
    const key = /^([\w.-]+):(?:\s+(.*))?$/.exec(line.slice(at));
    while (stack.length && (stack.at(-1)?.column ?? 0) >= (last ? Math.max(at, column) : at)) stack.pop();
    if (key?.[1] && !last) stack.push({ column: at, step: key[1], block: /^[|>]/.test(key[2] ?? "") });
  });
  return stack.some((step) => step.block) ? null : stack.map((step) => step.step);
}

function walk(schemas: Schemas, root: string, path: Step["step"][], whole: unknown): { shapes: Shape[]; written: unknown } {
  let here = shapes(schemas, schemas[root] as Shape);
  let written = whole;
  for (const step of path) {
    const within = typeof step === "number" ? (shape: Shape) => shape.items : (shape: Shape) => shape.properties?.[step];
    here = fitting(schemas, here, written).flatMap((shape) => shapes(schemas, within(shape)));
    written = written && typeof written === "object" ? (written as Record<string | number, unknown>)[step] : undefined;
  }
  return { shapes: fitting(schemas, here, written), written };
}

/** What may be written where the caret is, and from which place on it replaces what is there. */
export function offers(schemas: Schemas, root: string, text: string, caret: number): { from: number; list: Offer[] } | null {
  const before = text.slice(0, caret);
  const lines = before.split("\n");
  const line = lines.at(-1) ?? "";
  const whole: unknown = parseDocument(text, { logLevel: "silent" }).toJS({ maxAliasCount: 0 }) as unknown;
  const value = /^(\s*(?:- +)*)([\w.-]+):\s+([\w.-]*)$/.exec(line);
  if (value) {
    const [, lead = "", key = "", part = ""] = value;
    const path = pathTo(lines, lead.length);
    if (!path) return null;
    const found = walk(schemas, root, [...path, key], whole).shapes;
    const list = found.flatMap((one) => words(one).map((word) => ({ word, about: one.description ?? "", of: "value" as const })));
    return list.length ? { from: caret - part.length, list } : null;
  }
  const field = /^(\s*(?:- +)*)([\w.-]*)$/.exec(line);
  if (!field) return null;
  const [, lead = "", part = ""] = field;
  const path = pathTo(lines, lead.length);
  if (!path) return null;
  const found = new Map<string, Offer>();
  const { shapes: here, written } = walk(schemas, root, path, whole);
  const there = written && typeof written === "object" ? Object.keys(written) : [];
  for (const shape of here) {
    for (const [word, one] of Object.entries(shape.properties ?? {})) {
      if (there.includes(word) && word !== part) continue;
      const about = one.description ?? shapes(schemas, one)[0]?.description ?? "";
      found.set(word, { word, about: about.replaceAll("\n", " "), of: "field" });
    }
    if (shape.enum) for (const word of words(shape)) found.set(word, { word, about: shape.description ?? "", of: "value" });
  }
  return found.size ? { from: caret - part.length, list: [...found.values()] } : null;
}

function words(shape: Shape): string[] {
  if (shape.const !== undefined) return [String(shape.const)];
  if (shape.enum) return shape.enum.filter((one) => one !== null).map(String);
  return [shape.type].flat().includes("boolean") ? ["true", "false"] : [];
}

/** Where in a text the field stands that a pointer names, or the nearest of those around it. */
export function placeOf(text: string, pointer: string): { from: number; to: number } {
  const steps = pointer.split("/").slice(1).map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
  let node: unknown = parseDocument(text, { logLevel: "silent" }).contents;
  let place = { from: 0, to: Math.max(text.indexOf("\n"), 0) || text.length };
  for (const step of steps) {
    let next: unknown;
    if (isMap(node)) {
      const pair = node.items.find((one) => isPair(one) && isScalar(one.key) && String(one.key.value) === step);
      const key = pair && isScalar(pair.key) ? pair.key.range : undefined;
      if (!pair || !key) break;
      place = { from: key[0], to: key[1] };
      next = pair.value;
    } else if (isSeq(node)) {
      next = node.items[Number(step)];
    }
    const range = (next as { range?: [number, number, number] } | null | undefined)?.range;
    // What is a word is marked itself; of what is long, the name of its field is.
    if (range && isScalar(next) && !text.slice(range[0], range[1]).includes("\n")) place = { from: range[0], to: range[1] };
    node = next;
  }
  return place;
}
