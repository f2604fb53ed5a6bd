// Keeps the parts of a page that are marked data-live fresh: fetches the page again and brings them to what they are now,
// without touching what somebody reads, types or copies. Without scripts, reload.
import htmx, { trusted } from "./security.js";

const EVERY_MILLISECONDS = 3000;

async function refresh() {
  if (document.hidden) return;
  const asked = { headers: { "X-Requested-For": "refresh" }, redirect: "manual" };
  const answer = await fetch(location.href, asked).catch(() => null);
  if (answer?.type === "opaqueredirect") location.reload(); // signed out: the sign-in page instead of old news
  if (!answer?.ok) return;
  const fresh = new DOMParser().parseFromString(trusted(await answer.text()), "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const replacement = fresh.getElementById(part.id);
    if (!replacement || replacement.innerHTML === part.innerHTML) continue;
    const selection = getSelection();
    if (!selection.isCollapsed && part.contains(selection.anchorNode)) continue; // somebody copies from it
    await htmx.swap({ target: part, text: replacement.outerHTML, swap: "outerMorph", sourceElement: part });
  }
}

if (document.querySelector("[data-live]")) setInterval(refresh, EVERY_MILLISECONDS);
// A page taken out of the browser's memory is old, and may belong to somebody who signed out.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
