/** What a job's page can show. */
export const TABS = ["runs", "next", "figures", "search", "backfills", "definition", "versions"] as const;
export type Tab = (typeof TABS)[number];
