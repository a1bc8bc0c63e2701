// One clock for all that counts up or down, once a second.

import { useSyncExternalStore } from "react";

let now = Date.now();
const heard = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

function subscribe(listener: () => void): () => void {
  heard.add(listener);
  timer ??= setInterval(() => {
    now = Date.now();
    heard.forEach((told) => told());
  }, 1000);
  return () => {
    heard.delete(listener);
    if (heard.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };
}

export function useNow(): number {
  return useSyncExternalStore(subscribe, () => now);
}
