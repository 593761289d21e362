// Keeps the page and its assets for when the server is out of reach: nothing else, and nothing of a
// user's. The build writes the line `const ASSETS = […];` above this (see plugin.ts), so that each build
// has a worker of its own.
/* global ASSETS */
const SHELL = 'shell';

/** What a browser may open that is the server's, not the page's. */
const SERVERS = /^\/(graphql|graphiql|health|ready|metrics|status)(\/|$)/;

async function install() {
  const shell = await caches.open(SHELL);
  const kept = await Promise.all(ASSETS.map((path) => shell.match(path)));
  await shell.addAll(['/', ...ASSETS.filter((_, i) => !kept[i])]);
  await self.skipWaiting();
}

async function activate() {
  const shell = await caches.open(SHELL);
  for (const request of await shell.keys()) {
    const { pathname } = new URL(request.url);
    if (pathname !== '/' && !ASSETS.includes(pathname)) await shell.delete(request);
  }
  await self.clients.claim();
}

/** From the server, and kept; what was kept last if the server does not answer, or with a 5xx. */
async function page(event) {
  const response = await fetch(event.request).catch(() => undefined);
  const isPage = response?.ok && /^text\/html\b/.test(response.headers.get('content-type'));
  if (isPage) event.waitUntil(keep('/', response.clone()));
  if (response && response.status < 500) return response;
  return (await caches.match('/')) ?? response ?? Response.error();
}

/** An asset never changes: once kept, nobody is asked. */
async function asset(event) {
  const kept = await caches.match(event.request);
  if (kept) return kept;
  const response = await fetch(event.request);
  if (response.ok) event.waitUntil(keep(event.request, response.clone()));
  return response;
}

async function keep(request, response) {
  const shell = await caches.open(SHELL);
  await shell.put(request, response);
}

self.addEventListener('install', (event) => event.waitUntil(install()));
self.addEventListener('activate', (event) => event.waitUntil(activate()));
self.addEventListener('fetch', (event) => {
  const { method, mode, url } = event.request;
  const { origin, pathname } = new URL(url);
  if (method !== 'GET' || origin !== location.origin) return;
  if (pathname.startsWith('/assets/')) event.respondWith(asset(event));
  else if (mode === 'navigate' && !SERVERS.test(pathname)) event.respondWith(page(event));
});
