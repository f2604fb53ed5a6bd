// The policy wizard brings what the server made of a form into the page; what somebody folded or unfolded stays so.
import htmx from "./security.js";

htmx.registerExtension("shieldwall-unfolded", {
  htmx_before_morph_attr: (element, { attrName }) => !(attrName === "open" && element.matches("#fields details")),
});
