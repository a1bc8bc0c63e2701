// Keeps the shell of the page, never data: what is under /ui/assets/ never changes, and the page itself
// is asked for first and taken from here only when no node answers. With a new build the files of the one
// before go.

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
