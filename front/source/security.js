// htmx, held to what our pages need: markup comes from our own server alone, and no attribute is ever run as code.
import htmx from "htmx.org";

// Trusted Types let nothing become markup that has not passed here. The policy of our pages does not let inline scripts
// run, and text that becomes markup here came from a page of our own.
const policy = window.trustedTypes?.createPolicy("shieldwall", { createHTML: (text) => text });

function refuse() {
  throw new Error("Attributes are not run as code here.");
}

export const trusted = (text) => (policy ? policy.createHTML(text) : text);

htmx.registerExtension("shieldwall", {
  init: (internal) => internal.initSecurity({ createHTML: trusted, createScript: refuse }, refuse, refuse),
});
htmx.config.mode = "same-origin";

// A session that ended answers with the way to the sign-in page: the whole page goes there, not a part of it.
document.addEventListener("htmx:before:request", (event) => {
  event.detail.ctx.request.redirect = "manual";
});
document.addEventListener("htmx:before:response", (event) => {
  if (event.detail.ctx.response.raw.type !== "opaqueredirect") return;
  event.preventDefault();
  location.reload();
});

export default htmx;
