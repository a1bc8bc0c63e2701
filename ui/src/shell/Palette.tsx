// Find a job by a part of its name, or go anywhere: a combobox with a list (WAI-ARIA APG).

import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type RefObject, useId, useState } from "react";

import { api, take } from "../api/client";
import { Strip } from "../parts/Strip";
import { strips } from "../queries";
import { PLACES } from "./keys";

/** `job`: it is one, and its strip is shown. */
type Found = { key: string; name: string; about: string; job?: string; go: () => void };

export function Palette({ dialog }: { dialog: RefObject<HTMLDialogElement | null> }) {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const go = useNavigate();
  const id = useId();
  const wanted = text.trim();
  const jobs = useQuery({
    queryKey: ["palette", wanted],
    queryFn: () => take(api.GET("/jobs", { params: { query: { q: wanted, limit: 12, consistency: "local" } } })),
    enabled: wanted.length > 0,
    placeholderData: (old) => old,
    meta: { live: false },
  });
  const cells = useQuery({ ...strips((jobs.data?.items ?? []).map((job) => job.name), { past: 24, coming: 3 }), meta: { live: false } });
  const done = () => {
    dialog.current?.close();
    setText("");
    setAt(0);
  };
  const places: Found[] = PLACES.filter(([, , name]) => name.toLowerCase().includes(wanted.toLowerCase())).map(([key, to, name]) => ({
    key: `place-${to}`,
    name,
    about: `g ${key}`,
    go: () => void go({ to }),
  }));
  const found: Found[] = [
    ...(wanted
      ? (jobs.data?.items ?? []).map((job) => ({
          key: job.uid,
          name: job.name,
          about: job.schedule_text ?? "no schedule",
          job: job.name,
          go: () => void go({ to: "/jobs/$name", params: { name: job.name } }),
        }))
      : []),
    ...places,
  ];
  const chosen = Math.min(at, Math.max(0, found.length - 1));
  return (
    <dialog ref={dialog} className="palette" aria-label="Find a job, or go anywhere" onClose={() => setText("")}>
      <input
        role="combobox"
        aria-expanded
        aria-controls={`${id}-list`}
        aria-activedescendant={found[chosen] ? `${id}-${chosen}` : undefined}
        aria-label="Find a job, or go anywhere"
        placeholder="A job, or a page"
        autoFocus
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setAt(0);
        }}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown") setAt(Math.min(chosen + 1, found.length - 1));
          else if (event.key === "ArrowUp") setAt(Math.max(chosen - 1, 0));
          else if (event.key === "Enter") {
            found[chosen]?.go();
            done();
          } else return;
          event.preventDefault();
        }}
      />
      <ul role="listbox" id={`${id}-list`} aria-label="What fits">
        {found.map((one, index) => (
          <li
            key={one.key}
            id={`${id}-${index}`}
            role="option"
            aria-selected={index === chosen}
            onMouseDown={(event) => {
              event.preventDefault();
              one.go();
              done();
            }}
            onMouseMove={() => setAt(index)}
          >
            <b>{one.name}</b>
            {one.job && cells.data?.has(one.job) && <Strip strip={cells.data.get(one.job)} still />}
            <span className="dim">{one.about}</span>
          </li>
        ))}
      </ul>
    </dialog>
  );
}
