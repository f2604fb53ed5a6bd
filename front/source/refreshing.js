// Brings the parts of a page that are marked data-live to what they are now: fetches the page again and takes over what
// is different, without touching what somebody reads, types or copies.
import htmx, { trusted } from "./security.js";

const typed = "input:not([type=hidden]), select, textarea";

function isChanged(field) {
  if (field.tagName === "SELECT") {
    const options = [...field.options];
    const first = !field.multiple && options.every((each) => !each.defaultSelected) ? 0 : -1;
    return options.some((each, place) => each.selected !== (each.defaultSelected || place === first));
  }
  if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
  return field.value !== field.defaultValue;
}

// Somebody copies from it, or is about to send what they entered.
function isInUse(part) {
  const selection = getSelection();
  if (!selection.isCollapsed && part.contains(selection.anchorNode)) return true;
  if (part.contains(document.activeElement) && document.activeElement.matches(typed)) return true;
  return [...part.querySelectorAll(typed)].some(isChanged);
}

// What somebody unfolded stays so: the server sends it folded.
function keepUnfolded(part, replacement) {
  const now = part.querySelectorAll("details");
  const then = replacement.querySelectorAll("details");
  if (now.length !== then.length) return;
  now.forEach((each, place) => {
    then[place].open = each.open;
  });
}

// Returns whether the server answered.
export async function refresh() {
  const asked = { headers: { "X-Requested-For": "refresh" }, redirect: "manual" };
  const answer = await fetch(location.href, asked).catch(() => null);
  if (answer?.type === "opaqueredirect") location.reload(); // signed out: the sign-in page instead of old news
  if (!answer?.ok) return answer !== null && answer.status < 500;
  const fresh = new DOMParser().parseFromString(trusted(await answer.text()), "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const replacement = fresh.getElementById(part.id);
    if (!replacement || isInUse(part)) continue;
    keepUnfolded(part, replacement);
    if (replacement.outerHTML === part.outerHTML) continue;
    await htmx.swap({ target: part, text: replacement.outerHTML, swap: "outerMorph", sourceElement: part });
  }
  return true;
}
