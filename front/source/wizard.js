// The policy wizard brings what the server made of a form into the page; what somebody folded or unfolded stays so.
import htmx from "./security.js";

htmx.registerExtension("shieldwall-unfolded", {
  htmx_before_morph_attr: (element, { attrName }) => !(attrName === "open" && element.matches("#fields details")),
});

// What could not be kept is said, until something is kept again.
const unkept = document.getElementById("unkept");

function say(isLost) {
  if (unkept) unkept.hidden = !isLost;
}

document.addEventListener("htmx:after:request", (event) => say(event.detail.ctx.response.status >= 400));
document.addEventListener("htmx:error", () => say(true));
