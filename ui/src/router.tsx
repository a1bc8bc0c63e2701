// Every page has an address, and everything that can be seen is in it.

import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";

import type { Run } from "./api/client";
import { Overview } from "./pages/Overview";
import { Jobs } from "./pages/Jobs";
import { type Tab, TABS } from "./model/tabs";
import type { JobSearch } from "./queries";
import type { CalendarSearch } from "./pages/Calendar";
import type { GraphSearch } from "./pages/Graph";
import type { TimelineSearch } from "./pages/Timeline";
import type { RunSearch } from "./parts/RunTable";
import { Fault } from "./parts/small";
import { Shell } from "./shell/Shell";

type Raw = Record<string, unknown>;

const text = (value: unknown): string | undefined => (typeof value === "string" && value ? value : undefined);

/** Without what is not given, so that addresses stay short. */
function given<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as T;
}

const root = createRootRoute({ errorComponent: ({ error }) => <Fault error={error} /> });
const shell = createRoute({ getParentRoute: () => root, id: "in", component: Shell });
const parent = { getParentRoute: () => shell };

const overview = createRoute({ ...parent, path: "/", component: Overview });
const jobs = createRoute({
  ...parent,
  path: "/jobs",
  component: Jobs,
  validateSearch: (raw: Raw): JobSearch =>
    given({
      q: text(raw.q),
      tag: text(raw.tag),
      enabled: typeof raw.enabled === "boolean" ? raw.enabled : undefined,
      runner: text(raw.runner) as JobSearch["runner"],
      queue: text(raw.queue),
      sort: text(raw.sort) as JobSearch["sort"],
    }),
});
const job = createRoute({
  ...parent,
  path: "/jobs/$name",
  component: lazyRouteComponent(() => import("./pages/Job"), "Job"),
  validateSearch: (raw: Raw): { at?: string; tab?: Tab; q?: string; exact?: boolean } =>
    given({ at: text(raw.at), tab: TABS.find((tab) => tab === raw.tab), q: raw.q === undefined ? undefined : String(raw.q), exact: raw.exact === true ? true : undefined }),
});
const edit = createRoute({ ...parent, path: "/jobs/$name/edit", component: lazyRouteComponent(() => import("./pages/Edit"), "EditJob") });
const fresh = createRoute({ ...parent, path: "/new", component: lazyRouteComponent(() => import("./pages/Edit"), "NewJob") });
const runs = createRoute({
  ...parent,
  path: "/runs",
  component: lazyRouteComponent(() => import("./pages/Runs"), "Runs"),
  validateSearch: (raw: Raw): RunSearch => given({ job: text(raw.job), status: text(raw.status), trigger: text(raw.trigger) as Run["trigger"] }),
});
const run = createRoute({
  ...parent,
  path: "/runs/$id",
  component: lazyRouteComponent(() => import("./pages/Run"), "Run"),
  validateSearch: (raw: Raw): { line?: string; q?: string } => given({ line: raw.line === undefined ? undefined : String(raw.line), q: raw.q === undefined ? undefined : String(raw.q) }),
});
const timeline = createRoute({
  ...parent,
  path: "/timeline",
  component: lazyRouteComponent(() => import("./pages/Timeline"), "Timeline"),
  validateSearch: (raw: Raw): TimelineSearch =>
    given({
      from: text(raw.from),
      span: typeof raw.span === "number" && raw.span > 0 ? raw.span : undefined,
      by: raw.by === "node" ? "node" : undefined,
      q: text(raw.q),
      list: typeof raw.list === "boolean" ? raw.list : undefined,
    }),
});
const calendar = createRoute({
  ...parent,
  path: "/calendar",
  component: lazyRouteComponent(() => import("./pages/Calendar"), "Calendar"),
  validateSearch: (raw: Raw): CalendarSearch =>
    given({
      view: raw.view === "day" || raw.view === "month" ? raw.view : undefined,
      date: typeof raw.date === "string" && /^\d{4}-\d\d-\d\d$/.test(raw.date) ? raw.date : undefined,
      at: text(raw.at),
      bad: raw.bad === true ? true : undefined,
    }),
});
const graph = createRoute({
  ...parent,
  path: "/graph",
  component: lazyRouteComponent(() => import("./pages/Graph"), "Graph"),
  validateSearch: (raw: Raw): GraphSearch => given({ job: text(raw.job), list: typeof raw.list === "boolean" ? raw.list : undefined }),
});
const cluster = createRoute({ ...parent, path: "/cluster", component: lazyRouteComponent(() => import("./pages/Cluster"), "Cluster") });
const incidents = createRoute({ ...parent, path: "/incidents", component: lazyRouteComponent(() => import("./pages/Incidents"), "Incidents") });
const queues = createRoute({ ...parent, path: "/queues", component: lazyRouteComponent(() => import("./pages/Admin"), "Queues") });
const channels = createRoute({
  ...parent,
  path: "/channels",
  component: lazyRouteComponent(() => import("./pages/Channels"), "Channels"),
  // Empty: a new one is written.
  validateSearch: (raw: Raw): { edit?: string } => given({ edit: raw.edit === undefined ? undefined : String(raw.edit) }),
});
const sinks = createRoute({
  ...parent,
  path: "/sinks",
  component: lazyRouteComponent(() => import("./pages/Sinks"), "Sinks"),
  // Empty: a new one is written.
  validateSearch: (raw: Raw): { edit?: string } => given({ edit: raw.edit === undefined ? undefined : String(raw.edit) }),
});
const triggers = createRoute({
  ...parent,
  path: "/triggers",
  component: lazyRouteComponent(() => import("./pages/Triggers"), "Triggers"),
  // Empty: a new one is written.
  validateSearch: (raw: Raw): { edit?: string } => given({ edit: raw.edit === undefined ? undefined : String(raw.edit) }),
});
const monitors = createRoute({
  ...parent,
  path: "/monitors",
  component: lazyRouteComponent(() => import("./pages/Monitors"), "Monitors"),
  validateSearch: (raw: Raw): { edit?: string } => given({ edit: raw.edit === undefined ? undefined : String(raw.edit) }),
});
const rules = createRoute({
  ...parent,
  path: "/rules",
  component: lazyRouteComponent(() => import("./pages/Rules"), "Rules"),
  validateSearch: (raw: Raw): { edit?: string } => given({ edit: raw.edit === undefined ? undefined : String(raw.edit) }),
});
const windows = createRoute({
  ...parent,
  path: "/windows",
  component: lazyRouteComponent(() => import("./pages/Windows"), "Windows"),
  validateSearch: (raw: Raw): { edit?: string } => given({ edit: raw.edit === undefined ? undefined : String(raw.edit) }),
});
const secrets = createRoute({ ...parent, path: "/secrets", component: lazyRouteComponent(() => import("./pages/Admin"), "Secrets") });
const audit = createRoute({
  ...parent,
  path: "/audit",
  component: lazyRouteComponent(() => import("./pages/Admin"), "Audit"),
  validateSearch: (raw: Raw): { actor?: string; action?: string; target?: string } =>
    given({ actor: text(raw.actor), action: text(raw.action), target: text(raw.target) }),
});
const users = createRoute({ ...parent, path: "/users", component: lazyRouteComponent(() => import("./pages/Admin"), "Users") });
const tokens = createRoute({ ...parent, path: "/tokens", component: lazyRouteComponent(() => import("./pages/Admin"), "Tokens") });
/** Outside of the shell. As many jobs as one request gives. */
const STRIPS_MOST = 100;
const wall = createRoute({
  getParentRoute: () => root,
  path: "/strips",
  component: lazyRouteComponent(() => import("./pages/Strips"), "Strips"),
  validateSearch: (raw: Raw): { job: string[] } => ({ job: [raw.job ?? []].flat().map(String).slice(0, STRIPS_MOST) }),
});
const settings = createRoute({ ...parent, path: "/settings", component: lazyRouteComponent(() => import("./pages/Settings"), "Settings") });
const help = createRoute({ ...parent, path: "/help", component: lazyRouteComponent(() => import("./pages/Help"), "Help") });

export const router = createRouter({
  routeTree: root.addChildren([
    shell.addChildren([overview, jobs, job, edit, fresh, runs, run, timeline, calendar, graph, incidents, cluster, queues, channels, sinks, triggers, monitors, rules, windows, secrets, audit, users, tokens, settings, help]),
    wall,
  ]),
  basepath: "/ui",
  defaultPreload: "intent",
  defaultNotFoundComponent: () => <Fault error={new Error("There is no page at this address.")} />,
  scrollRestoration: true,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
