// A cluster without jobs: three steps, each with a button, and the curl that does the same.

import { useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";

import { api, take } from "../api/client";
import { AsCommand, Fault } from "../parts/small";

const FIRST = {
  name: "hello",
  description: "Says hello every minute.",
  expr: "* * * * *",
  runner: { type: "shell" as const, command: 'echo "hello from $CRONAPI_JOB, due $CRONAPI_NOMINAL_TIME"' },
};

export function Start() {
  const [error, setError] = useState<unknown>(null);
  const client = useQueryClient();
  const go = useNavigate();
  const create = async () => {
    setError(null);
    try {
      await take(api.POST("/jobs", { body: FIRST }));
      await client.invalidateQueries();
      await go({ to: "/jobs/$name", params: { name: FIRST.name } });
    } catch (fault) {
      setError(fault);
    }
  };
  return (
    <section className="start">
      <p className="say">There are no jobs yet. Three steps to the first one that runs.</p>
      <ol>
        <li>
          <h2>Make a job that says hello every minute</h2>
          <p>
            <button type="button" className="solid" onClick={() => void create()}>
              Make the job hello
            </button>
          </p>
          <AsCommand curl={`$URL/jobs --json '${JSON.stringify(FIRST).replaceAll("'", "'\\''")}'`} cli="cronapi apply -f hello.yaml" />
        </li>
        <li>
          <h2>See what became of each minute</h2>
          <p className="dim">Every nominal time ends in one cell of its strip: ran, failed, or skipped and why.</p>
          <AsCommand curl="$URL/jobs/hello/ledger" cli="cronapi explain hello" />
        </li>
        <li>
          <h2>Write your own</h2>
          <p>
            <Link className="button" to="/new">
              Write a job
            </Link>
          </p>
        </li>
      </ol>
      <Fault error={error} />
    </section>
  );
}
