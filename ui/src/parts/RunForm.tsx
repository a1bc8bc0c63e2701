// Run now, with parameters: a field for each that the schema names, or JSON.

import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";

import { type Job, api, take } from "../api/client";
import { Ask, type Same, quoted } from "./small";

type Property = { type?: string; title?: string; description?: string; enum?: unknown[]; default?: unknown };

function properties(job: Job): [string, Property][] {
  const schema = job.parameters_schema as { properties?: Record<string, Property> } | undefined;
  return Object.entries(schema?.properties ?? {});
}

function read(text: string, kind: string | undefined): unknown {
  if (kind === "string" || kind === undefined) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

export function RunForm({ job, label = "Run now", given }: { job: Job; label?: string; given?: Record<string, unknown> }) {
  const client = useQueryClient();
  const go = useNavigate();
  const fields = properties(job);
  const start = { ...(job.parameters as Record<string, unknown> | undefined), ...given };
  const [values, setValues] = useState<Record<string, unknown>>(start);
  const [text, setText] = useState(JSON.stringify(start, null, 2));
  const [force, setForce] = useState(false);
  const chosen = () => (fields.length ? values : (JSON.parse(text || "{}") as Record<string, unknown>));
  const same = (): Same => {
    let parameters: Record<string, unknown> = {};
    try {
      parameters = chosen();
    } catch {
      // It is being typed.
    }
    const words = Object.entries(parameters).map(([key, value]) => ` -p ${quoted(`${key}=${typeof value === "string" ? value : JSON.stringify(value)}`)}`);
    return {
      method: "POST",
      path: `/jobs/${job.name}/run${force ? "?force=true" : ""}`,
      body: { parameters },
      cli: `cronapi run ${job.name}${words.join("")}${force ? " --force" : ""}`,
    };
  };
  const act = async () => {
    const parameters = chosen();
    const run = await take(
      api.POST("/jobs/{name}/run", { params: { path: { name: job.name }, query: force ? { force } : {} }, body: { parameters } }),
    );
    await client.invalidateQueries();
    await go({ to: "/runs/$id", params: { id: run.id } });
  };
  return (
    <Ask label={label} title={`Run ${job.name}`} same={same()} act={act}>
      {fields.map(([name, property]) => (
        <label key={name}>
          {property.title ?? name} {property.description && <span className="dim">{property.description}</span>}
          {property.enum ? (
            <select value={String(values[name] ?? "")} onChange={(event) => setValues({ ...values, [name]: property.enum?.find((one) => String(one) === event.target.value) })}>
              {property.enum.map((one) => (
                <option key={String(one)}>{String(one)}</option>
              ))}
            </select>
          ) : property.type === "boolean" ? (
            <input type="checkbox" checked={!!values[name]} onChange={(event) => setValues({ ...values, [name]: event.target.checked })} />
          ) : (
            <input
              value={typeof values[name] === "string" ? values[name] : values[name] === undefined ? "" : JSON.stringify(values[name])}
              onChange={(event) => setValues({ ...values, [name]: read(event.target.value, property.type) })}
            />
          )}
        </label>
      ))}
      {fields.length === 0 && (
        <label>
          Parameters, as JSON
          <textarea rows={4} value={text} onChange={(event) => setText(event.target.value)} spellCheck={false} />
        </label>
      )}
      <label className="row">
        <input type="checkbox" checked={force} onChange={(event) => setForce(event.target.checked)} /> Pass over its dependencies and its overlap rule
      </label>
    </Ask>
  );
}
