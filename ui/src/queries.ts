// What pages ask for, each under one key, so that two that show the same share it.

import { queryOptions } from "@tanstack/react-query";

import { type Strip, api, take, takeWith } from "./api/client";

export const overview = queryOptions({
  queryKey: ["overview"],
  queryFn: () => take(api.GET("/overview")),
  refetchInterval: 15_000,
});

export type JobSearch = {
  q?: string;
  tag?: string;
  enabled?: boolean;
  runner?: "python" | "shell" | "http" | "none";
  queue?: string;
  sort?: "name" | "-name" | "next_fire_at" | "-updated_at" | "-last_run_at" | "-created_at";
};

export const JOBS_PAGE = 100;

export const jobPage = (search: JobSearch, cursor: string | null) => ({
  ...search,
  tag: search.tag ? [search.tag] : undefined,
  limit: JOBS_PAGE,
  cursor: cursor ?? undefined,
});

const byJob = ({ items }: { items: Strip[] }) => new Map(items.map((strip) => [strip.job, strip]));

// The map is made of the answer, not kept: a strip that did not change stays the same object, and is
// not drawn anew.
export const strips = (jobs: string[], size: { past?: number; coming?: number } = {}) =>
  queryOptions({
    queryKey: ["strips", jobs, size],
    queryFn: () => take(api.GET("/strips", { params: { query: { jobs, ...size } } })),
    select: byJob,
    enabled: jobs.length > 0,
    placeholderData: (old) => old,
  });

export const job = (name: string) =>
  queryOptions({
    queryKey: ["job", name],
    queryFn: () => takeWith(api.GET("/jobs/{name}", { params: { path: { name } } })),
  });

/** The schemas of the REST interface: what an editor offers. */
export const schemas = queryOptions({
  queryKey: ["schemas"],
  queryFn: async () => {
    const document = (await (await fetch("/openapi.json")).json()) as { components: { schemas: Record<string, unknown> } };
    return document.components.schemas;
  },
  staleTime: Infinity,
  meta: { live: false },
});

export const statistics = (name: string) =>
  queryOptions({
    queryKey: ["statistics", name],
    queryFn: () => take(api.GET("/jobs/{name}/statistics", { params: { path: { name } } })),
  });

export const explanation = (name: string, at: string) =>
  queryOptions({
    queryKey: ["explain", name, at],
    queryFn: () => take(api.GET("/jobs/{name}/explain", { params: { path: { name }, query: { at } } })),
  });

export const upcoming = (name: string, count: number) =>
  queryOptions({
    queryKey: ["next", name, count],
    queryFn: () => take(api.GET("/jobs/{name}/next", { params: { path: { name }, query: { count } } })),
  });

export const backfills = (name: string) =>
  queryOptions({
    queryKey: ["backfills", name],
    queryFn: () => take(api.GET("/backfills", { params: { query: { job: name } } })),
    refetchInterval: 3_000,
  });

export const versions = (name: string) =>
  queryOptions({
    queryKey: ["versions", name],
    queryFn: () => take(api.GET("/jobs/{name}/versions", { params: { path: { name }, query: { limit: 100 } } })),
  });

export const run = (id: string) =>
  queryOptions({
    queryKey: ["run", id],
    queryFn: () => take(api.GET("/runs/{id}", { params: { path: { id } } })),
  });

export const incidents = (state: "open" | "resolved") =>
  queryOptions({
    queryKey: ["incidents", state],
    queryFn: () => take(api.GET("/incidents", { params: { query: { state, limit: 100 } } })),
    refetchInterval: 15_000,
  });

export const notices = (state: "pending" | "sent" | "dead" | "muted") =>
  queryOptions({
    queryKey: ["notices", state],
    queryFn: () => take(api.GET("/notices", { params: { query: { state, limit: 100 } } })),
    refetchInterval: 15_000,
  });

export const tasks = (id: string) =>
  queryOptions({
    queryKey: ["tasks", id],
    queryFn: () => take(api.GET("/runs/{id}/tasks", { params: { path: { id }, query: { limit: 1000 } } })),
    placeholderData: (old) => old,
  });

export const nodes = queryOptions({
  queryKey: ["nodes"],
  queryFn: () => take(api.GET("/cluster/nodes")),
  refetchInterval: 2_000,
  meta: { live: false },
});

export const status = queryOptions({
  queryKey: ["status"],
  queryFn: () => take(api.GET("/system/status")),
  refetchInterval: 2_000,
  meta: { live: false },
});
