// One stream of events a tab. What it tells makes what is shown stale; a burst is told once.
//
// The stream resumes by the id of the last event, on whichever node answers. When it breaks, what is
// shown stays, marked as reconnecting.

import { type QueryClient, useQueryClient } from "@tanstack/react-query";
import { useEffect, useSyncExternalStore } from "react";

import { session } from "../session";
import { useWho } from "../who";

export type Link = "connecting" | "live" | "reconnecting";

/** At least this long between two refreshes of what is shown, in milliseconds. */
const CALM = 1_000;
const AGAIN_FIRST = 500;
const AGAIN_MOST = 10_000;

let link: Link = "connecting";
const heard = new Set<() => void>();

function tell(now: Link): void {
  if (link === now) return;
  link = now;
  heard.forEach((listener) => listener());
}

export function useLink(): Link {
  return useSyncExternalStore(
    (listener) => {
      heard.add(listener);
      return () => heard.delete(listener);
    },
    () => link,
  );
}

/** A piece of output. */
export type Piece = { attempt: number; seq: number; at: string; stream: string; text: string };
type Follower = { run: string; piece: (piece: Piece) => void; over: (why: "ended" | "gone") => void };

/** Whose output the stream carries, and behind which place. */
let follower: Follower | undefined;
let place = "";
let turn: AbortController | undefined;

/** The output of a run comes with the events, in the same stream, until this is undone. */
export function followOutput(wanted: Follower): () => void {
  follower = wanted;
  place = "";
  turn?.abort();
  return () => {
    if (follower !== wanted) return;
    follower = undefined;
    turn?.abort();
  };
}

/** What a message says of the output that is followed. */
function heardOutput(message: Message): boolean {
  if (!message.event.startsWith("output.")) return false;
  if (message.event === "output.end") {
    const told = follower;
    follower = undefined;
    told?.over("ended");
    return true;
  }
  const piece = JSON.parse(message.data) as Piece;
  place = `${piece.attempt}.${piece.seq}`;
  follower?.piece(piece);
  return true;
}

/** One message of a stream of server-sent events. */
export type Message = { id: string; event: string; data: string };

/** Splits a stream of server-sent events into messages (HTML standard, 9.2.6). */
export async function* messages(body: ReadableStream<Uint8Array>): AsyncGenerator<Message> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      rest += value.replaceAll("\r\n", "\n");
      for (let end = rest.indexOf("\n\n"); end >= 0; end = rest.indexOf("\n\n")) {
        const message: Message = { id: "", event: "message", data: "" };
        for (const line of rest.slice(0, end).split("\n")) {
          const at = line.indexOf(":");
          const field = at < 0 ? line : line.slice(0, at);
          const text = at < 0 ? "" : line.slice(at + 1).replace(/^ /, "");
          if (field === "id") message.id = text;
          else if (field === "event") message.event = text;
          else if (field === "data") message.data += (message.data && "\n") + text;
        }
        rest = rest.slice(end + 2);
        if (message.data || message.event !== "message") yield message;
      }
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

/** Follows the events until `signal`, and makes stale what they concern. */
async function follow(client: QueryClient, signal: AbortSignal): Promise<void> {
  let last = "";
  let wait = AGAIN_FIRST;
  let due: ReturnType<typeof setTimeout> | undefined;
  const stale = () => {
    due ??= setTimeout(() => {
      due = undefined;
      void client.invalidateQueries({ predicate: (query) => query.meta?.live !== false });
    }, CALM);
  };
  while (!signal.aborted) {
    const mine = new AbortController();
    turn = mine;
    try {
      const token = await session.token();
      if (!token) return;
      const headers: Record<string, string> = { Authorization: `Bearer ${token}`, Accept: "text/event-stream" };
      if (last) headers["Last-Event-ID"] = last;
      const run = follower?.run;
      const output = run ? `?output=${run}${place ? `&output_after=${place}` : ""}` : "";
      const answer = await fetch(`/events${output}`, { headers, signal: AbortSignal.any([signal, mine.signal]) });
      if (answer.status === 401) session.refused();
      if (run && answer.status === 404) {
        // The run is gone, or out of sight: the events go on without it.
        const told = follower;
        follower = undefined;
        told?.over("gone");
        continue;
      }
      if (!answer.ok || !answer.body) throw new Error(`events: ${answer.status}`);
      if (link === "reconnecting") stale();
      tell("live");
      // What changed about the user before the stream was there is not in it.
      session.rights();
      wait = AGAIN_FIRST;
      for await (const message of messages(answer.body)) {
        if (message.id) last = message.id;
        if (message.event === "reset") last = "";
        if (message.event === "rights") session.rights();
        if (message.event === "end") break;
        if (!heardOutput(message)) stale();
      }
    } catch {
      if (signal.aborted) break;
      // Somebody looks at another run: the same stream, asked for anew.
      if (mine.signal.aborted) continue;
    }
    tell("reconnecting");
    await new Promise((resolve) => setTimeout(resolve, wait));
    wait = Math.min(wait * 2, AGAIN_MOST);
  }
  clearTimeout(due);
}

/** Follows the events for as long as this is shown and the reader is the same. */
export function useEvents(): void {
  const who = useWho();
  const client = useQueryClient();
  useEffect(() => {
    const stop = new AbortController();
    void follow(client, stop.signal);
    return () => stop.abort();
  }, [client, who?.user]);
}
