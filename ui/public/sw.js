// Keeps the shell of the page, never data: what is under /ui/assets/ never changes, and the page itself
// is asked for first and taken from here only when no node answers. With a new build the files of the one
// before go. Shows what the cluster pushes, and opens the page that explains it.

const SHELL = "shell-2";
const PAGE = "/ui/";

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(begin(event)));
self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== self.location.origin) return;
  if (url.pathname.startsWith("/ui/assets/")) {
    event.respondWith(kept(event.request));
  } else if (event.request.mode === "navigate" && url.pathname.startsWith(PAGE)) {
    event.respondWith(fresh(event, event.request));
  }
});

async function begin(event) {
  for (const name of await caches.keys()) if (name !== SHELL) await caches.delete(name);
  await self.clients.claim();
  // The page that brought this worker was loaded without it.
  await fresh(event, new Request(PAGE)).catch(() => undefined);
}

async function kept(request) {
  const cache = await caches.open(SHELL);
  const found = await cache.match(request);
  if (found) return found;
  const answer = await fetch(request);
  if (answer.ok) await cache.put(request, answer.clone());
  return answer;
}

async function fresh(event, request) {
  const found = await caches.match(PAGE, { cacheName: SHELL });
  try {
    const answer = await fetch(request);
    // Kept beside: nobody waits for it, and a file that can't be had harms nobody.
    if (answer.ok) event.waitUntil(keep(answer.clone(), found).catch(() => undefined));
    return answer;
  } catch (fault) {
    if (found) return found;
    throw fault;
  }
}

/** The page, and every file that it may ask for: those that it names, and those that these name. */
async function keep(page, before) {
  if (before && before.headers.get("etag") === page.headers.get("etag")) return;
  const named = (text) => [...text.matchAll(/assets\/[\w.-]+\.(?:js|css)/g)].map(([path]) => PAGE + path);
  const first = new Set(named(await page.clone().text()));
  await caches.delete(SHELL);
  const cache = await caches.open(SHELL);
  const rest = new Set();
  for (const path of first) {
    const answer = await fetch(path);
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    if (path.endsWith(".js")) named(await answer.clone().text()).forEach((one) => first.has(one) || rest.add(one));
    await cache.put(path, answer);
  }
  await cache.addAll([...rest]);
  await cache.put(PAGE, page);
}

self.addEventListener("push", (event) => event.waitUntil(show(event.data)));
self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(open(event.notification.data?.url));
});

/** A browser demands that each push is shown, also one that can't be read. */
async function show(data) {
  let said = {};
  try {
    said = data.json();
  } catch {
    // The page says what it was.
  }
  const { title = "CronAPI", body = "Something happened. The page says what.", tag = "unknown", at = Date.now(), url = PAGE } = said;
  await self.registration.showNotification(title, { body, tag, timestamp: at, renotify: true, icon: "/ui/icon.svg", data: { url } });
}

/** Goes to a page of this cluster, in a window that is there already, if one is. */
async function open(wanted) {
  const url = new URL(wanted ?? PAGE, self.location.origin);
  const target = url.origin === self.location.origin && url.pathname.startsWith(PAGE) ? url.href : self.location.origin + PAGE;
  const windows = await self.clients.matchAll({ type: "window" });
  const there = windows.find((one) => new URL(one.url).pathname.startsWith(PAGE));
  if (!there) return self.clients.openWindow(target);
  await there.focus().catch(() => undefined);
  return there.navigate(target);
}
