// Keeps a page that asks for it fresh: fetches itself and replaces the parts marked data-live. Without scripts, reload.
"use strict";
const live = document.querySelectorAll("[data-live]");
if (live.length > 0) {
  setInterval(async () => {
    if (document.hidden) return;
    const answer = await fetch(location.href, { headers: { "X-Requested-For": "refresh" }, redirect: "error" }).catch(() => null);
    if (!answer || !answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const replacement = fresh.getElementById(part.id);
      if (replacement && replacement.innerHTML !== part.innerHTML) part.replaceWith(replacement);
    }
  }, 3000);
}
