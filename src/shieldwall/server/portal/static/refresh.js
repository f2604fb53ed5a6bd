// Keeps a page that asks for it fresh: fetches itself and replaces the parts marked data-live. Without scripts, reload.
"use strict";
const EVERY_MILLISECONDS = 3000;
const live = document.querySelectorAll("[data-live]");
// What we fetch is a page of our own, parsed without running anything in it; no other text becomes markup.
const own = window.trustedTypes ? window.trustedTypes.createPolicy("shieldwall", { createHTML: (text) => text }) : null;

async function refresh() {
  if (document.hidden) return;
  const asked = { headers: { "X-Requested-For": "refresh" }, redirect: "manual" };
  const answer = await fetch(location.href, asked).catch(() => null);
  if (answer && answer.type === "opaqueredirect") location.reload(); // signed out: the sign-in page instead of old news
  if (!answer || !answer.ok) return;
  const text = await answer.text();
  const fresh = new DOMParser().parseFromString(own ? own.createHTML(text) : text, "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const replacement = fresh.getElementById(part.id);
    if (!replacement || replacement.innerHTML === part.innerHTML) continue;
    if (!getSelection().isCollapsed && part.contains(getSelection().anchorNode)) continue; // somebody copies from it
    const focused = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    part.replaceChildren(...replacement.childNodes);
    if (focused) part.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }
}

if (live.length > 0) setInterval(refresh, EVERY_MILLISECONDS);
// A page taken out of the browser's memory is old, and may belong to somebody who signed out.
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
