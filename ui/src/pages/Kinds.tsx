// Definitions of a kind: a list, and an editor that the server judges while something is typed. What a
// kind has of its own (columns, acts) it says in its page.

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, Suspense, lazy, useState } from "react";
import { parse, stringify } from "yaml";

import { Refusal, loose, take, takeWith } from "../api/client";
import { Ask, Fault, Head, Skeleton, When, faultsOf } from "../parts/small";
import { useJudged } from "../parts/judged";
import { Changes } from "../parts/Changes";
import { schemas } from "../queries";
import { may } from "../session";
import { useWho } from "../who";
import "../parts/parts.css";

const Text = lazy(() => import("../parts/Text"));

export type Defined = Record<string, unknown> & { name: string; version?: number; updated_at?: string; updated_by?: string };

export type Kind = {
  /** One of them, such as `channel`; and all of them. */
  one: string;
  many: string;
  title: string;
  about: string;
  /** Said where there is none. */
  none: string;
  /** What a new one begins as, as YAML. */
  fresh: string;
  /** The role that writes them. */
  role: "operator" | "admin";
  /** Set by the cluster beside what every kind has: not part of the definition. */
  live?: string[];
  /** Title and cell of each; on a phone those that are `wide` stay away. */
  columns: [title: string, cell: (defined: Defined) => ReactNode, wide?: "wide"][];
  acts?: (defined: Defined) => ReactNode;
};

const STAMPS = ["version", "created_at", "updated_at", "updated_by", "warnings"];

/** What somebody wrote, without what the cluster says of it. */
function written(kind: Kind, defined: Defined): Record<string, unknown> {
  return Object.fromEntries(Object.entries(defined).filter(([field]) => !STAMPS.includes(field) && !kind.live?.includes(field)));
}

/** The list; with `edit` the editor of one, of a new one when it is empty. */
export function Kinds({ kind, edit, go }: { kind: Kind; edit: string | undefined; go: (edit: string | undefined) => void }) {
  if (edit === undefined) return <List kind={kind} go={go} />;
  if (edit === "") return <Editor kind={kind} start={kind.fresh} etag={null} name={null} done={() => go(undefined)} />;
  return <Existing kind={kind} name={edit} done={() => go(undefined)} />;
}

function List({ kind, go }: { kind: Kind; go: (edit: string | undefined) => void }) {
  const who = useWho();
  const client = useQueryClient();
  const path = (name: string) => `/${kind.many}/${encodeURIComponent(name)}`;
  const { data, error, isPending, refetch } = useQuery({
    queryKey: [kind.many],
    queryFn: () => take(loose.GET(`/${kind.many}`)) as Promise<{ items: Defined[] }>,
    refetchInterval: 5_000,
  });
  if (isPending) return <Skeleton />;
  if (!data) return <Fault error={error} again={() => void refetch()} />;
  const writes = may(who, kind.role);
  return (
    <>
      <Head title={kind.title} about={kind.about}>
        {writes && <button type="button" onClick={() => go("")}>{`New ${kind.one}`}</button>}
      </Head>
      <table>
        <thead>
          <tr>
            <th className="fill">{kind.one}</th>
            {kind.columns.map(([title, , wide]) => <th key={title} className={wide && "hide"}>{title}</th>)}
            <th className="right hide">version</th>
            <th className="hide">changed</th>
            <th className="hide">by</th>
            <th />
          </tr>
        </thead>
        <tbody>
          {data.items.map((defined) => (
            <tr key={defined.name}>
              <td className="fill name">{defined.name}</td>
              {kind.columns.map(([title, cell, wide]) => <td key={title} className={wide && "hide"}>{cell(defined)}</td>)}
              <td className="right hide">{defined.version ?? ""}</td>
              <td className="hide"><When at={defined.updated_at} past /></td>
              <td className="hide">{defined.updated_by ?? ""}</td>
              <td className="right acts">
                {writes && (
                  <>
                    {kind.acts?.(defined)}
                    <button type="button" onClick={() => go(defined.name)}>Edit</button>
                    <Ask
                      label="Delete"
                      title={`Delete the ${kind.one} ${defined.name}`}
                      same={{ method: "DELETE", path: path(defined.name), cli: `cronapi delete ${kind.one}/${defined.name} --yes` }}
                      danger
                      confirm={defined.name}
                      act={() => take(loose.DELETE(path(defined.name))).then(() => client.invalidateQueries())}
                    >
                      <p>Its versions go with it.</p>
                    </Ask>
                  </>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {data.items.length === 0 && <p className="dim">{kind.none}</p>}
    </>
  );
}

function Existing({ kind, name, done }: { kind: Kind; name: string; done: () => void }) {
  const { data, error, isPending } = useQuery({
    queryKey: [kind.many, name],
    queryFn: () => takeWith(loose.GET(`/${kind.many}/${encodeURIComponent(name)}`)) as Promise<{ value: Defined; etag: string | null }>,
    staleTime: Infinity,
    meta: { live: false },
  });
  if (isPending) return <Skeleton rows={10} />;
  if (!data) return <Fault error={error} />;
  return <Editor kind={kind} start={stringify(written(kind, data.value))} etag={data.etag} name={name} done={done} />;
}

type Judged = { body: Record<string, unknown> | null; warnings: string[]; error: unknown };

function Editor({ kind, start, etag, name, done }: { kind: Kind; start: string; etag: string | null; name: string | null; done: () => void }) {
  const [text, setText] = useState(start);
  const judged = useJudged<Judged>({ body: null, warnings: [], error: null }, (signal) => judge(kind, text, signal), [kind, text]);
  const [saving, setSaving] = useState<unknown>(null);
  const known = useQuery(schemas);
  const client = useQueryClient();
  const save = async () => {
    setSaving(null);
    try {
      const { name: own, ...body } = read(text);
      const headers: Record<string, string> = name ? { "If-Match": etag ?? "*" } : { "If-None-Match": "*" };
      await takeWith(loose.PUT(`/${kind.many}/${encodeURIComponent(String(own ?? ""))}`, { body, headers }));
      await client.invalidateQueries();
      done();
    } catch (fault) {
      setSaving(fault);
    }
  };
  const conflict = saving instanceof Refusal && saving.status === 412;
  return (
    <>
      <Head title={name ? `Edit ${name}` : `New ${kind.one}`}>
        <button type="button" onClick={done}>Leave</button>
        <button type="button" className="solid" disabled={!!judged.error} onClick={() => void save()}>Save</button>
      </Head>
      <Fault error={saving} />
      {conflict && <p className="dim">Somebody else wrote it meanwhile. Copy what you wrote, leave, and edit it anew.</p>}
      <div className="columns">
        <section>
          <Suspense fallback={<Skeleton rows={12} />}>
            <Text value={text} language="yaml" label="The definition, as YAML" change={setText} help={known.data && { schemas: known.data, root: fieldsOf(kind.one) }} faults={faultsOf(judged.error)} />
          </Suspense>
        </section>
        <aside>
          <Fault error={judged.error} />
          {judged.warnings.map((warning) => <p key={warning} className="dim">{warning}</p>)}
          {judged.body && name && <Changes before={read(start)} after={judged.body} />}
        </aside>
      </div>
    </>
  );
}

/** The name of a kind's schema. */
function fieldsOf(kind: string): string {
  return `${kind.charAt(0).toUpperCase()}${kind.slice(1)}Fields`;
}

function read(text: string): Record<string, unknown> {
  const value: unknown = parse(text);
  if (!value || typeof value !== "object" || Array.isArray(value)) throw new Error("A definition is a list of fields, such as name: mail.");
  return value as Record<string, unknown>;
}

/** What the server says of it, without writing it. */
async function judge(kind: Kind, text: string, signal: AbortSignal): Promise<Judged> {
  let body: Record<string, unknown>;
  try {
    body = read(text);
  } catch (error) {
    return { body: null, warnings: [], error };
  }
  try {
    const { name, ...rest } = body;
    const path = `/${kind.many}/${encodeURIComponent(String(name ?? ""))}`;
    const would = (await take(loose.PUT(path, { params: { query: { dry_run: true } }, body: rest, signal }))) as { warnings?: string[] };
    return { body, warnings: would.warnings ?? [], error: null };
  } catch (error) {
    return { body, warnings: [], error };
  }
}
