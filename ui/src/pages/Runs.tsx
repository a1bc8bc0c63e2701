// All runs, filtered; every filter is in the address.

import { useNavigate, useSearch } from "@tanstack/react-router";

import { RunTable, useRuns } from "../parts/RunTable";
import { Views } from "../parts/Views";
import { Head } from "../parts/small";

const STATES = ["running", "waiting", "failed", "succeeded", "timed_out", "lost", "cancelled", "skipped"];
const TRIGGERS = ["schedule", "manual", "dependency", "on_success", "on_failure", "on_finish", "workflow", "backfill"] as const;

export function Runs() {
  const search = useSearch({ from: "/in/runs" });
  const go = useNavigate({ from: "/runs" });
  const list = useRuns(search);
  return (
    <>
      <Head title="Runs" />
      <div className="filters" role="search">
        <label>
          job{" "}
          <input
            data-search
            defaultValue={search.job ?? ""}
            onKeyDown={(event) => event.key === "Enter" && event.currentTarget.blur()}
            onBlur={(event) => void go({ search: (old) => ({ ...old, job: event.target.value.trim() || undefined }) })}
          />
        </label>
        <label>
          status{" "}
          <select value={search.status ?? ""} onChange={(event) => void go({ search: (old) => ({ ...old, status: event.target.value || undefined }) })}>
            <option value="">any</option>
            {STATES.map((state) => (
              <option key={state} value={state}>
                {state === "failed" ? "failed, timed out or lost" : state.replace("_", " ")}
              </option>
            ))}
          </select>
        </label>
        <label>
          why{" "}
          <select
            value={search.trigger ?? ""}
            onChange={(event) => void go({ search: (old) => ({ ...old, trigger: TRIGGERS.find((one) => one === event.target.value) }) })}
          >
            <option value="">any</option>
            {TRIGGERS.map((trigger) => (
              <option key={trigger} value={trigger}>
                {trigger.replace("_", " ")}
              </option>
            ))}
          </select>
        </label>
        <Views page="/runs" />
      </div>
      <RunTable list={list} />
    </>
  );
}
