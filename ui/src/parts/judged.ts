// What the server says of a text while it is written.

import { useEffect, useState } from "react";

/** So long nobody types before the server is asked. */
const REST_MS = 400;

/** The newest judgement; `judge` is asked again when one of `on` changed, and an answer that comes late is dropped. */
export function useJudged<J>(begin: J, judge: (signal: AbortSignal) => Promise<J>, on: readonly unknown[]): J {
  const [judged, setJudged] = useState<J>(begin);
  useEffect(() => {
    const late = new AbortController();
    const timer = setTimeout(() => void judge(late.signal).then((now) => late.signal.aborted || setJudged(now)), REST_MS);
    return () => {
      clearTimeout(timer);
      late.abort();
    };
  }, on);
  return judged;
}
