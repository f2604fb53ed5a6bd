// Choosing rows of a list: all of a page at once, a range with Shift, and how many are chosen. Without scripts every row
// is ticked by itself.
let last = null;

const rows = (form) => [...document.querySelectorAll(`input[type=checkbox][form="${form.id}"]`)];

function count(form) {
  const boxes = rows(form);
  const chosen = boxes.filter((box) => box.checked).length;
  const told = form.querySelector("[data-choosing-count]");
  if (told) {
    told.hidden = chosen === 0;
    told.textContent = told.dataset.choosingCount.replace("#", chosen);
  }
  const all = document.querySelector("[data-choosing-all]");
  if (all) {
    all.hidden = boxes.length === 0;
    all.checked = chosen > 0 && chosen === boxes.length;
    all.indeterminate = chosen > 0 && chosen < boxes.length;
  }
}

function refresh() {
  const form = document.querySelector("form[data-choosing]");
  if (form) count(form);
}

document.addEventListener("click", (event) => {
  const box = event.target;
  const form = document.querySelector("form[data-choosing]");
  if (!form || !(box instanceof HTMLInputElement) || box.type !== "checkbox") return;
  if (box.matches("[data-choosing-all]")) {
    for (const each of rows(form)) each.checked = box.checked;
  } else if (box.form === form && box.name === "device") {
    const boxes = rows(form);
    const [from, to] = [boxes.indexOf(last), boxes.indexOf(box)].sort((one, other) => one - other);
    if (event.shiftKey && from >= 0) for (const each of boxes.slice(from, to + 1)) each.checked = box.checked;
    last = box;
  }
  count(form);
});
document.addEventListener("htmx:after:swap", refresh);
refresh();
