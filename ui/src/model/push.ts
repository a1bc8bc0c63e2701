// This browser, as one that is told when no page is open: what it can, and whether it is.

import { api, take, type Schema } from "../api/client";

export type Subscription = Schema["PushSubscriptionView"];
export type Trouble = NonNullable<Schema["NewPushSubscription"]["on"]>[number];

/** Kept in this browser: what it wants to be told, and whose it is; it says so again when its address changes. */
const WANTED = "push";

type Wanted = { user: string; on: Trouble[]; jobs: string[]; label: string };

/** Why this browser can't be told; null: it can. */
export function inTheWay(): string | null {
  if (!globalThis.isSecureContext) return "Browsers take pushes only from pages that came over https, or from this machine itself.";
  if (!("serviceWorker" in navigator) || !("PushManager" in globalThis) || !("Notification" in globalThis)) {
    return "This browser takes no pushes. On an iPhone or iPad, add the page to the home screen first, and open it there.";
  }
  if (Notification.permission === "denied") return "Notifications of this page are blocked in this browser: allow them in its settings.";
  return null;
}

/** The first 16 digits of SHA-256 of an address: how the cluster names it. */
async function fingerprint(endpoint: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(endpoint));
  return [...new Uint8Array(digest).slice(0, 8)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** How the cluster names this browser; null: it is not subscribed. */
export async function own(): Promise<string | null> {
  if (inTheWay()) return null;
  const registration = await navigator.serviceWorker.getRegistration("/ui/");
  const there = await registration?.pushManager.getSubscription();
  return there ? fingerprint(there.endpoint) : null;
}

/** What a person would call this browser. */
export function called(): string {
  const text = navigator.userAgent;
  const system = [/iPhone|iPad/, /Android/, /Mac OS X/, /Windows/, /Linux/].map((one) => one.exec(text)?.[0]).find(Boolean);
  const program = [/Firefox/, /Edg/, /Chrome/, /Safari/].map((one) => one.exec(text)?.[0]).find(Boolean);
  return [program === "Edg" ? "Edge" : program, system === "Mac OS X" ? "Mac" : system].filter(Boolean).join(" on ") || "browser";
}

async function give(there: PushSubscription, asked: Wanted): Promise<void> {
  const { endpoint, keys } = there.toJSON();
  const body = {
    endpoint: endpoint ?? there.endpoint,
    keys: { p256dh: keys?.p256dh ?? "", auth: keys?.auth ?? "" },
    label: asked.label,
    on: asked.on,
    ...(asked.jobs.length ? { match: { jobs: asked.jobs } } : {}),
  };
  await take(api.POST("/push/subscriptions", { body }));
}

async function subscribed(): Promise<PushSubscription> {
  const { key } = await take(api.GET("/push/key"));
  const registration = await navigator.serviceWorker.ready;
  const options = { userVisibleOnly: true, applicationServerKey: key };
  const present = await registration.pushManager.getSubscription();
  // Of a key that this cluster does not have: no push of ours would be taken.
  if (present) await present.unsubscribe();
  return registration.pushManager.subscribe(options);
}

/** Asks for leave, subscribes, and has the cluster tell this browser from here on. */
export async function tell(asked: Wanted): Promise<void> {
  if ((await Notification.requestPermission()) !== "granted") throw new Error("Notifications of this page were not allowed.");
  await give(await subscribed(), asked);
  localStorage.setItem(WANTED, JSON.stringify(asked));
}

/** Has the cluster tell one no more; this browser too, if it is that one. */
export async function untell(one: Subscription): Promise<void> {
  await take(api.DELETE("/push/subscriptions/{id}", { params: { path: { id: one.id } } }));
  if (one.fingerprint !== (await own())) return;
  localStorage.removeItem(WANTED);
  const registration = await navigator.serviceWorker.getRegistration("/ui/");
  await (await registration?.pushManager.getSubscription())?.unsubscribe();
}

/** Browsers change their addresses now and then: one that wants to be told and is not known says where it is. */
export async function keep(user: string): Promise<void> {
  const wanted = JSON.parse(localStorage.getItem(WANTED) ?? "null") as Wanted | null;
  if (wanted?.user !== user || inTheWay() || Notification.permission !== "granted") return;
  const { items } = await take(api.GET("/push/subscriptions"));
  const known = await own();
  if (known && items.some((one) => one.fingerprint === known)) return;
  const registration = await navigator.serviceWorker.ready;
  const there = (await registration.pushManager.getSubscription()) ?? (await subscribed());
  await give(there, wanted);
}
