// What every page of the admin center loads. Pages work without it; with it, parts of them change in place.
import "./security.js";
import "./live.js";
import "./copying.js";
import "./choosing.js";
import "./rules.js";
import "./wizard.js";
import "./scrolling.js";
