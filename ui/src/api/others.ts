// The other nodes of the cluster: where the page goes on when its own is away.
//
// Their addresses are kept in this browser, so that a page that is opened while its node is away knows
// them. They are offered, not followed: a change that is being written would be lost.

const KEY = "nodes";
const ADDRESS = /^(?:[\w.-]+|\[[\da-f:]+\]):\d{1,5}$/i;
/** What listens everywhere says nothing about where. */
const ANYWHERE = /^(?:0\.0\.0\.0|\[::\]):/;

/** Notes where nodes are reached. */
export function remember(nodes: { api?: string }[]): void {
  const all = nodes.map((node) => node.api ?? "").filter((api) => ADDRESS.test(api) && !ANYWHERE.test(api));
  localStorage.setItem(KEY, JSON.stringify(all));
}

/** The hosts of the others; none where this page is not reached at a node itself. */
export function others(here = location.host): string[] {
  let all: unknown;
  try {
    all = JSON.parse(localStorage.getItem(KEY) ?? "[]");
  } catch {
    return [];
  }
  if (!Array.isArray(all) || !all.includes(here)) return [];
  return all.filter((api): api is string => typeof api === "string" && ADDRESS.test(api) && api !== here);
}
