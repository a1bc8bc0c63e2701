// The fire strip: the last nominal times of a job and the next ones, as cells in a row. A cell has a
// colour, a shape and a word; the height of one that ran is its duration against the job's own p95.

import { useNavigate } from "@tanstack/react-router";
import { type MouseEvent, type PointerEvent, memo, useEffect, useState } from "react";

import type { Cell, Strip as Data } from "../api/client";
import { type Kind, WORDS, kindOf, tell, words } from "../model/outcome";
import { absolute, clock, span } from "../model/time";

const HIGH = 24;
const WIDE = 7;
const GAP = 2;
/** A range is as wide as this many cells. */
const RANGE = 9;

/** One shape; `x` is its left edge. */
function Shape({ kind, x, wide, high }: { kind: Kind; x: number; wide: number; high: number }) {
  const y = HIGH - high;
  switch (kind) {
    case "ok":
      return (
        <>
          <rect className="ok-soft" x={x} y={y} width={wide} height={high} />
          <rect className="ok" x={x} y={y} width={wide} height={2} />
        </>
      );
    case "bad":
      return <rect className="bad" x={x} y={y} width={wide} height={high} />;
    case "run":
      return <rect className="run" x={x + 0.5} y={HIGH - 13.5} width={wide - 1} height={13} rx={2} />;
    case "wait":
      return <rect className="wait" x={x} y={HIGH - 10} width={wide} height={10} />;
    case "skip":
      return <rect className="skip" x={x} y={HIGH - 3} width={wide} height={3} />;
    case "miss":
      return <rect className="miss" x={x + 0.5} y={HIGH - 9.5} width={wide - 1} height={9} />;
    case "past":
      return <rect className="plan" x={x} y={HIGH - 6} width={wide} height={6} />;
    case "plan":
      return <circle className="plan" cx={x + wide / 2} cy={HIGH - 2} r={1.6} />;
  }
}

function height(cell: Cell, p95: number | null | undefined): number {
  if (cell.took_ms == null) return 8;
  const against = Math.max(p95 ?? 0, 1);
  return Math.max(4, Math.min(HIGH - 2, 4 + (cell.took_ms / against) * 14));
}

/** What a cell is, in a line: for the tooltip and for readers of the screen. */
export function line(cell: Cell): string {
  const took = cell.took_ms == null ? "" : `, took ${span(cell.took_ms)}`;
  const late = (cell.late_ms ?? 0) >= 1000 ? `, ${span(cell.late_ms ?? 0)} late` : "";
  const end = cell.until ? ` to ${clock(cell.until)}` : "";
  return `${absolute(cell.at)}${end}: ${tell(cell)}${took}${late}`;
}

/** What stands on a cell of many times. */
function written(cell: Cell): string {
  const word = kindOf(cell) === "miss" ? WORDS.miss : words(cell.reason ?? cell.outcome);
  return cell.count ? `${word} ${cell.count.toLocaleString("en")}` : word;
}

/** The tooltip of the cell under the pointer: one of thousands, so it is made when it is wanted. */
function tooltip(event: PointerEvent<SVGSVGElement>) {
  const cell = (event.target as Element).closest("a.cell");
  if (!cell || cell.querySelector("title")) return;
  const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
  title.textContent = cell.getAttribute("aria-label");
  cell.prepend(title);
}

/** So many strips are drawn a frame: a screen full of them at once would hold the browser up. */
const A_FRAME = 4;
const waiting = new Set<() => void>();

function drawSome() {
  for (const draw of [...waiting].slice(0, A_FRAME)) {
    waiting.delete(draw);
    draw();
  }
  if (waiting.size > 0) requestAnimationFrame(drawSome);
}

/** Whether it is this strip's turn to be drawn; once it was, it stays so. */
function useTurn(there: boolean): boolean {
  const [mine, setMine] = useState(false);
  useEffect(() => {
    if (!there || mine) return;
    const draw = () => setMine(true);
    if (waiting.size === 0) requestAnimationFrame(drawSome);
    waiting.add(draw);
    return () => void waiting.delete(draw);
  }, [there, mine]);
  return mine;
}

/** `label`: its cells are reached by keys; `still`: they lead nowhere, since what they are in does. */
type Props = { strip: Data | undefined; label?: boolean; still?: boolean };

export const Strip = memo(function Strip({ strip, label, still }: Props) {
  const go = useNavigate();
  const mine = useTurn(strip !== undefined);
  if (!strip) return <div className="strip skeleton" aria-hidden />;
  if (!mine) return <div className="strip" aria-hidden />;
  let x = 0;
  const cells = strip.cells.map((cell) => {
    const wide = cell.until ? RANGE * (WIDE + GAP) - GAP : WIDE;
    const placed = { cell, x, wide };
    x += wide + GAP;
    return placed;
  });
  const now = x + 1;
  const coming = strip.coming.map((at, index) => ({ at, x: now + 4 + index * (WIDE + GAP) }));
  // Plain links and one handler: a link of the router for each cell makes a list of them slow.
  const follow = (event: MouseEvent<SVGSVGElement>) => {
    const at = (event.target as Element).closest("a.cell")?.getAttribute("data-at");
    if (!at || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    void go({ to: "/jobs/$name", params: { name: strip.job }, search: (old: object) => ({ ...old, at }) });
  };
  const total = now + 6 + coming.length * (WIDE + GAP);
  return (
    <svg
      className="strip"
      viewBox={`0 0 ${total} ${HIGH}`}
      style={{ width: total, height: HIGH }}
      role={still ? "img" : "group"}
      onClick={still ? undefined : follow}
      onPointerOver={still ? undefined : tooltip}
      aria-label={`The last ${strip.cells.length} nominal times of ${strip.job}, and the next ${coming.length}`}
    >
      {cells.map(({ cell, x: left, wide }) => {
        const drawn = cell.until ? (
          <>
            <rect className="plan" x={left} y={HIGH - 6} width={wide} height={6} />
            <text x={left + wide / 2} y={HIGH - 9}>
              {written(cell)}
            </text>
          </>
        ) : (
          <Shape kind={kindOf(cell)} x={left} wide={wide} high={height(cell, strip.p95_ms)} />
        );
        if (still) return <g key={cell.at}>{drawn}</g>;
        return (
          <a
            key={cell.at}
            href={`/ui/jobs/${encodeURIComponent(strip.job)}?at=${encodeURIComponent(cell.at)}`}
            data-at={cell.at}
            aria-label={cell.until ? `${written(cell)}: ${line(cell)}` : line(cell)}
            className="cell"
            tabIndex={label ? 0 : -1}
          >
            <rect className="hit" x={left - 1} y={0} width={wide + GAP} height={HIGH} />
            {drawn}
          </a>
        );
      })}
      <line className="now" x1={now} x2={now} y1={1} y2={HIGH} />
      {coming.map(({ at, x: left }) => (
        <g key={at}>
          <title>{`${absolute(at)}: to come`}</title>
          <Shape kind="plan" x={left} wide={WIDE} high={0} />
        </g>
      ))}
    </svg>
  );
});

export function Legend() {
  const shown: Kind[] = ["ok", "bad", "run", "wait", "skip", "miss", "plan"];
  return (
    <p className="legend">
      {shown.map((kind) => (
        <span key={kind}>
          <svg viewBox={`0 0 ${WIDE} ${HIGH}`} aria-hidden>
            <Shape kind={kind} x={0} wide={WIDE} high={14} />
          </svg>
          {WORDS[kind]}
        </span>
      ))}
      <span className="faint">height: duration against the job&rsquo;s own p95</span>
    </p>
  );
}
