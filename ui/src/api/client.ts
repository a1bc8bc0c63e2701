// The typed client of the REST interface, with what every call has: the token, one try to renew
// it, and errors that say what to do (RFC 9457).

import createClient, { type Middleware } from "openapi-fetch";

import type { components, paths } from "./schema";
import { session } from "../session";

export type Schema = components["schemas"];
export type Job = Schema["JobView"];
export type Run = Schema["Run"];
export type Strip = Schema["Strip"];
export type Cell = Schema["Cell"];
export type Overview = Schema["Overview"];
export type Problem = Schema["Problem"];

/** An answer that is an error, as the server told it, or a node that did not answer. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly problem: Partial<Problem>,
  ) {
    super(problem.detail ?? problem.title ?? `The server answered ${status}.`);
  }

  /** Nothing answered: the node is away, or has no leader. Trying again may help. */
  get passing(): boolean {
    return this.status === 0 || this.status === 503 || this.status === 429;
  }
}

const AWAY: Partial<Problem> = {
  title: "This node does not answer",
  detail: "This node does not answer. The page goes on by itself once it does.",
};

const carry: Middleware = {
  async onRequest({ request }) {
    const token = await session.token();
    if (token) request.headers.set("Authorization", `Bearer ${token}`);
    return request;
  },
};

const client = createClient<paths>({
  baseUrl: "/",
  querySerializer: { array: { style: "form", explode: false } },
  // Looked up at each call, so that a test may replace it.
  fetch: (request) => globalThis.fetch(request),
});
client.use(carry);
export const api = client;

type Init = { params?: { query?: Record<string, unknown> }; body?: unknown; headers?: Record<string, string>; signal?: AbortSignal };
type Loose = Record<"GET" | "PUT" | "DELETE", (path: string, init?: Init) => Promise<Answer<unknown>>>;
/** The same, for paths that are made of the name of a kind. */
export const loose = client as unknown as Loose;

type Answer<T> = { data?: T; error?: unknown; response: Response };

/** The value of an answer; what is an error is thrown as a Refusal. */
export async function take<T>(call: Promise<Answer<T>>): Promise<T> {
  const answer = await call.catch((fault: unknown) => {
    if (fault instanceof Refusal) throw fault;
    throw new Refusal(0, AWAY);
  });
  if (answer.response.status === 401) session.refused();
  if (answer.response.ok) return answer.data as T;
  throw new Refusal(answer.response.status, (answer.error as Partial<Problem>) ?? {});
}

/** As `take`, with the headers: for an ETag. */
export async function takeWith<T>(call: Promise<Answer<T>>): Promise<{ value: T; etag: string | null }> {
  const answer = await call.catch(() => {
    throw new Refusal(0, AWAY);
  });
  if (answer.response.status === 401) session.refused();
  if (!answer.response.ok) {
    throw new Refusal(answer.response.status, (answer.error as Partial<Problem>) ?? {});
  }
  return { value: answer.data as T, etag: answer.response.headers.get("etag") };
}
