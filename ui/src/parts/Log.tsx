// The output of a run: what there is, then what comes. Text only: nothing in it becomes markup.

import { useEffect, useMemo, useRef, useState } from "react";

import type { Run } from "../api/client";
import { type Piece, followOutput, useLink } from "../api/live";
import { clock } from "../model/time";
import { session } from "../session";

type Line = { key: string; at: string; stream: string; text: string };

/** Lines kept in the page; older ones can be downloaded. */
const LINES_MAX = 20_000;

/** Follows the output until the run has ended; what breaks is taken up where it was. */
function usePieces(run: Run): { pieces: Piece[]; state: "reading" | "following" | "ended" | "broken" } {
  const [pieces, setPieces] = useState<Piece[]>([]);
  const [over, setOver] = useState(false);
  const link = useLink();
  useEffect(() => {
    const gathered: Piece[] = [];
    let due: number | undefined;
    setPieces([]);
    setOver(false);
    const undo = followOutput({
      run: run.id,
      piece: (piece) => {
        gathered.push(piece);
        due ??= requestAnimationFrame(() => {
          due = undefined;
          setPieces(gathered.slice());
        });
      },
      over: () => setOver(true),
    });
    return () => {
      undo();
      if (due !== undefined) cancelAnimationFrame(due);
    };
  }, [run.id]);
  return { pieces, state: over ? "ended" : link === "reconnecting" ? "broken" : link === "live" ? "following" : "reading" };
}

/** Pieces as lines: each keeps the time and the stream it began in. */
export function lines(pieces: Piece[]): Line[] {
  const all: Line[] = [];
  const open = new Map<string, Line>();
  for (const piece of pieces) {
    const from = `${piece.attempt}/${piece.stream}`;
    const parts = piece.text.split("\n");
    parts.forEach((text, index) => {
      const begun = open.get(from);
      if (index === 0 && begun) begun.text += text;
      else if (index < parts.length - 1 || text) {
        const line = { key: `${piece.attempt}.${piece.seq}.${index}`, at: piece.at, stream: piece.stream, text };
        all.push(line);
        open.set(from, line);
      }
      if (index < parts.length - 1) open.delete(from);
    });
  }
  return all.slice(-LINES_MAX);
}

/** Colours that programs ask for (ECMA-48 SGR) as classes; other sequences are left out. */
export function coloured(text: string): { text: string; style: string }[] {
  const parts: { text: string; style: string }[] = [];
  let style = "";
  // eslint-disable-next-line no-control-regex
  const pattern = /\u001b\[([0-9;]*)m|\u001b\[[0-9;?]*[ -/]*[@-~]|\u001b[@-_]|\r/g;
  let from = 0;
  for (const found of text.matchAll(pattern)) {
    if (found.index > from) parts.push({ text: text.slice(from, found.index), style });
    from = found.index + found[0].length;
    if (found[1] === undefined) continue;
    for (const code of found[1].split(";").map(Number)) {
      if (code === 0) style = "";
      else if (code === 1) style += " bold";
      else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) style = `${style.replace(/ c\d/g, "")} c${code % 10}`;
      else if (code === 39) style = style.replace(/ c\d/g, "");
    }
  }
  if (from < text.length) parts.push({ text: text.slice(from), style });
  return parts;
}

export function Log({ run, at, find: wanted }: { run: Run; at?: string | undefined; find?: string | undefined }) {
  const { pieces, state } = usePieces(run);
  const all = useMemo(() => lines(pieces), [pieces]);
  const [find, setFind] = useState("");
  // The line that an address names: by the piece it begins in, and what is looked for in it.
  const named = useMemo(() => {
    if (!at) return undefined;
    const piece = all.filter((line) => line.key.startsWith(`${at.replace("-", ".")}.`));
    return (piece.find((line) => wanted && line.text.toLowerCase().includes(wanted.toLowerCase())) ?? piece[0])?.key;
  }, [all, at, wanted]);
  const [times, setTimes] = useState(false);
  const [follow, setFollow] = useState(!at);
  const box = useRef<HTMLDivElement>(null);
  const shown = find ? all.filter((line) => line.text.toLowerCase().includes(find.toLowerCase())) : all;
  useEffect(() => {
    if (follow && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [shown.length, follow]);
  useEffect(() => {
    if (named) box.current?.querySelector(".at-line")?.scrollIntoView({ block: "center" });
  }, [named]);
  const download = async () => {
    const token = await session.token();
    const answer = await fetch(`/runs/${run.id}/logs`, { headers: { Authorization: `Bearer ${token}`, Accept: "text/plain" } });
    const url = URL.createObjectURL(await answer.blob());
    const link = Object.assign(document.createElement("a"), { href: url, download: `${run.job}-${run.id}.log` });
    link.click();
    URL.revokeObjectURL(url);
  };
  const error = () => box.current?.querySelector(".stderr")?.scrollIntoView({ block: "center" });
  return (
    <>
      <h2>
        Output{" "}
        <span>
          {state === "following" ? "live" : state === "broken" ? "reconnecting" : state === "ended" ? `${run.log_bytes.toLocaleString("en")} bytes` : ""}
        </span>
      </h2>
      <div className="filters">
        <input type="search" data-search placeholder="Find in the output" aria-label="Find in the output" value={find} onChange={(event) => setFind(event.target.value)} />
        <label className="row">
          <input type="checkbox" checked={times} onChange={(event) => setTimes(event.target.checked)} /> times
        </label>
        <label className="row">
          <input type="checkbox" checked={follow} onChange={(event) => setFollow(event.target.checked)} /> follow
        </label>
        <button type="button" className="quiet" onClick={error}>
          first of stderr
        </button>
        <button type="button" className="quiet" onClick={() => void download()}>
          download
        </button>
      </div>
      <div
        className="log"
        ref={box}
        role="log"
        aria-label="Output"
        tabIndex={0}
        onScroll={(event) => {
          const it = event.currentTarget;
          const end = it.scrollHeight - it.scrollTop - it.clientHeight < 24;
          if (end !== follow) setFollow(end);
        }}
      >
        {shown.map((line) => (
          <div key={line.key} className={line.key === named ? `${line.stream} at-line` : line.stream}>
            {times && <time>{clock(line.at)}</time>}
            {coloured(line.text).map((part, index) => (
              <span key={index} className={part.style || undefined}>
                {part.text}
              </span>
            ))}
            {"\n"}
          </div>
        ))}
        {shown.length === 0 && <p className="faint">{state === "ended" ? (find ? "Nothing fits." : "It wrote nothing.") : "Nothing yet."}</p>}
      </div>
    </>
  );
}
