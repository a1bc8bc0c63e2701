import { useSyncExternalStore } from "react";

import { type Who, session } from "./session";

/** Who is logged in; null: nobody; undefined: not known yet. */
export function useWho(): Who | null | undefined {
  return useSyncExternalStore(session.subscribe, () => session.current());
}
