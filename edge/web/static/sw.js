"use strict";
// Where the box cannot be reached, a sentence is shown instead of the browser's error page.
// Nothing of the box is kept on the device: no finding, no picture.

const KEPT = "truelight-1";
const FILES = ["/offline", "/static/report.css", "/static/page.css", "/static/page.js", "/static/icon-192.png"];

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(KEPT).then((cache) => cache.addAll(FILES)).then(() => self.skipWaiting()));
});
self.addEventListener("activate", (event) => {
  event.waitUntil(caches.keys().then((names) => Promise.all(
    names.filter((name) => name !== KEPT).map((name) => caches.delete(name)),
  )).then(() => self.clients.claim()));
});
self.addEventListener("fetch", (event) => {
  const path = new URL(event.request.url).pathname;
  if (event.request.mode === "navigate") {
    event.respondWith(fetch(event.request).catch(() => caches.match("/offline")));
  } else if (FILES.includes(path) && event.request.method === "GET") {
    event.respondWith(fetch(event.request).catch(() => caches.match(path)));
  }
});
