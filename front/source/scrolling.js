// Tables that are wider than the window scroll by themselves: whoever has no pointer reaches them with the keyboard.
const REACHED = "a[href], button, input, select, textarea, summary, [tabindex]:not(.scroll)";

function see(each) {
  const needed = each.scrollWidth > each.clientWidth && !each.querySelector(REACHED);
  if (needed === each.hasAttribute("tabindex")) return;
  if (!needed) {
    for (const name of ["tabindex", "role", "aria-label"]) each.removeAttribute(name);
    return;
  }
  each.tabIndex = 0;
  const caption = each.querySelector("caption")?.textContent.trim();
  if (!caption) return;
  each.setAttribute("role", "region");
  each.setAttribute("aria-label", caption);
}

function seeAll() {
  for (const each of document.querySelectorAll(".scroll")) see(each);
}

new ResizeObserver(seeAll).observe(document.body);
document.addEventListener("htmx:after:swap", seeAll);
