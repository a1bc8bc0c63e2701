// A button that pauses something, or lets it go on.

import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

type Props = { paused: boolean; act: () => Promise<unknown>; list: string };

/** `act` does the other of what it is; `list` is what shows it. */
export function Pause({ paused, act, list }: Props) {
  const [fault, setFault] = useState<string | null>(null);
  const client = useQueryClient();
  const press = async () => {
    setFault(null);
    try {
      await act();
      await client.invalidateQueries({ queryKey: [list] });
    } catch (fault) {
      setFault(fault instanceof Error ? fault.message : String(fault));
    }
  };
  return (
    <>
      {fault && <span role="status" className="bad">{fault}</span>}{" "}
      <button type="button" onClick={() => void press()}>{paused ? "Resume" : "Pause"}</button>
    </>
  );
}
