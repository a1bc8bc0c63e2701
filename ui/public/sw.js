// Keeps the shell of the page, never data: what is under /ui/assets/ never changes, and the page itself
// is asked for first and taken from here only when no node answers.

const SHELL = "shell-1";

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== self.location.origin) return;
  if (url.pathname.startsWith("/ui/assets/")) {
    event.respondWith(kept(event.request));
  } else if (event.request.mode === "navigate" && url.pathname.startsWith("/ui/")) {
    event.respondWith(fresh(event.request));
  }
});

async function kept(request) {
  const cache = await caches.open(SHELL);
  const found = await cache.match(request);
  if (found) return found;
  const answer = await fetch(request);
  if (answer.ok) await cache.put(request, answer.clone());
  return answer;
}

async function fresh(request) {
  const cache = await caches.open(SHELL);
  try {
    const answer = await fetch(request);
    if (answer.ok) await cache.put("/ui/", answer.clone());
    return answer;
  } catch (fault) {
    const found = await cache.match("/ui/");
    if (found) return found;
    throw fault;
  }
}
