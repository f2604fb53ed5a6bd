// Offers what may come next in a membership rule, in a text area with data-completes: asks the server for the words that
// fit, shows them as a list below, and puts the chosen one in the place of what was begun. Without it, rules are typed.
const LATER_MILLISECONDS = 150;

class Completion {
  constructor(area) {
    this.area = area;
    this.list = document.createElement("ul");
    this.list.id = `${area.id}-words`;
    this.list.className = "words";
    this.list.role = "listbox";
    this.list.hidden = true;
    this.list.setAttribute("aria-label", area.dataset.offers);
    area.after(this.list);
    area.setAttribute("aria-autocomplete", "list");
    area.setAttribute("aria-haspopup", "listbox");
    area.setAttribute("aria-controls", this.list.id);
    area.addEventListener("input", () => this.askSoon());
    area.addEventListener("keydown", (event) => this.onKey(event));
    area.addEventListener("blur", () => this.close());
    // A word is taken before the text area loses the focus.
    this.list.addEventListener("mousedown", (event) => event.preventDefault());
    this.list.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (option) this.take(option);
    });
  }

  askSoon() {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.ask(), LATER_MILLISECONDS);
  }

  async ask() {
    const at = this.area.selectionStart;
    const asked = new URLSearchParams({ rule: this.area.value, at });
    const answer = await fetch(`${this.area.dataset.completes}?${asked}`, { redirect: "manual" }).catch(() => null);
    if (!answer?.ok || at !== this.area.selectionStart || document.activeElement !== this.area) return;
    this.show(await answer.json());
  }

  show({ start, end, words }) {
    const here = this.area.value.slice(start, end);
    const offered = words.filter((word) => word.text !== here);
    this.place = { start, end };
    this.list.replaceChildren(...offered.map((word, number) => this.option(word, number)));
    this.chosen = -1;
    this.list.hidden = offered.length === 0;
    this.area.removeAttribute("aria-activedescendant");
  }

  option(word, number) {
    const option = document.createElement("li");
    option.id = `${this.list.id}-${number}`;
    option.role = "option";
    option.dataset.text = word.text;
    const text = document.createElement("code");
    text.textContent = word.text;
    const note = document.createElement("bdi");
    note.textContent = word.note;
    option.append(text, " ", note);
    return option;
  }

  onKey(event) {
    if (event.key === " " && event.ctrlKey) {
      event.preventDefault();
      this.ask();
      return;
    }
    if (this.list.hidden) return;
    const options = [...this.list.children];
    if (event.key === "ArrowDown") this.choose(options, Math.min(this.chosen + 1, options.length - 1));
    else if (event.key === "ArrowUp") this.choose(options, Math.max(this.chosen - 1, 0));
    else if (event.key === "Escape") this.close();
    else if ((event.key === "Enter" || event.key === "Tab") && this.chosen >= 0) this.take(options[this.chosen]);
    else return;
    event.preventDefault();
  }

  choose(options, number) {
    options[this.chosen]?.removeAttribute("aria-selected");
    this.chosen = number;
    options[number].setAttribute("aria-selected", "true");
    options[number].scrollIntoView({ block: "nearest" });
    this.area.setAttribute("aria-activedescendant", options[number].id);
  }

  take(option) {
    const { start, end } = this.place;
    const before = this.area.value.slice(0, start);
    const after = this.area.value.slice(end);
    const apart = before === "" || /[\s([,]$/.test(before) ? "" : " ";
    const behind = /^[\s)\],]/.test(after) ? "" : " ";
    const text = `${before}${apart}${option.dataset.text}${behind}`;
    this.area.value = text + after;
    this.area.setSelectionRange(text.length, text.length);
    this.close();
    this.area.dispatchEvent(new Event("input", { bubbles: true }));
  }

  close() {
    clearTimeout(this.waiting);
    this.list.hidden = true;
    this.chosen = -1;
    this.area.removeAttribute("aria-activedescendant");
  }
}

for (const area of document.querySelectorAll("textarea[data-completes]")) new Completion(area);
