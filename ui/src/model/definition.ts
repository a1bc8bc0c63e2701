import type { Job } from "../api/client";

const LIVE = ["uid", "version", "created_at", "updated_at", "deleted_at", "next_fire_at", "last_run", "open_runs", "unresolved", "schedule_text"];

/** What a file would hold: the fields of the definition alone. */
export function definition(job: Job): string {
  return JSON.stringify(Object.fromEntries(Object.entries(job).filter(([key]) => !LIVE.includes(key))), null, 2);
}
