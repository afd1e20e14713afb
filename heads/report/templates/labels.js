// Labels given on a page: which images are selected, what they are called, and the table of it that `fit --labels` takes.
// No library, nothing loaded; every text is set as text, never as HTML. The pages' other scripts come after this one.
"use strict";
const ARROWS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};

// The nearest of many in the direction of an arrow key; what lies aside counts as further away.
function towards(key, from, many, place) {
  if (!(key in ARROWS)) return null;
  const [dx, dy] = ARROWS[key], [x, y] = place(from);
  let nearest = null, least = Infinity;
  for (const each of many) {
    const [x2, y2] = place(each), along = (x2 - x) * dx + (y2 - y) * dy, aside = Math.abs((x2 - x) * dy) + Math.abs((y2 - y) * dx);
    if (each !== from && along > 0 && along >= aside / 2 && along + 2 * aside < least) [nearest, least] = [each, along + 2 * aside];
  }
  return nearest;
}

function centre(element) {
  const box = element.getBoundingClientRect();
  return [box.x + box.width / 2, box.y + box.height / 2];
}

function element(name, text, more = {}) {
  return Object.assign(document.createElement(name), {textContent: text}, more);
}

// Null where the page has nothing to label; else to be started when the page's other scripts have told of their pictures.
const labels = (() => {
  const get = id => document.getElementById(id), source = get("label-details");
  if (!source) return null;
  const data = JSON.parse(source.textContent), {paths, names, given} = data;
  const numbers = new Map(paths.map((path, at) => [path, at]));
  const selected = new Set(), decided = new Map(), typed = new Set(), before = [], watchers = [];
  const unwritable = new Set(paths.flatMap((path, at) => (/\p{Surrogate}/u.test(path) ? [at] : []))); // the file's name is no text
  const MOST_PICTURES = 24;
  let kept = true, unsaved = false, from = null, open = false;

  const nameOf = at => decided.get(at) ?? (given[at] < 0 ? "" : names[given[at]]);
  const isChanged = at => decided.has(at) && decided.get(at) !== (given[at] < 0 ? "" : names[given[at]]);
  const allNames = () => [...new Set([...names, ...typed])]; // a name keeps its number, which is its key

  function put(at, name) {
    decided.set(at, name);
    if (name) typed.add(name);
  }

  // Closing the page loses nothing, where a browser keeps things for files.
  function restore() {
    try {
      for (const [at, name] of JSON.parse(localStorage.getItem(data.key) ?? "[]")) {
        if (Number.isInteger(at) && at >= 0 && at < paths.length && typeof name === "string") put(at, name);
      }
    } catch { kept = false; }
  }
  function keep() {
    try {
      localStorage.setItem(data.key, JSON.stringify([...decided]));
    } catch { kept = false; }
  }
  function changed() {
    unsaved = true;
    keep();
    count();
    show();
  }

  // Name images; null leaves them as they were given, an empty name takes the label away.
  function decide(many, name) {
    before.push(many.map(at => [at, decided.get(at)]));
    for (const at of many) name === null ? decided.delete(at) : put(at, name);
    changed();
  }
  function undo() {
    for (const [at, name] of before.pop() ?? []) name === undefined ? decided.delete(at) : put(at, name);
    changed();
  }
  function nameSelected(name) {
    decide([...selected], name.trim().normalize("NFC"));
    clear();
  }

  function toggle(at) {
    if (!selected.delete(at)) selected.add(at);
    show();
  }
  function add(many) {
    for (const at of many) selected.add(at);
    show();
  }
  function clear() {
    selected.clear();
    show();
  }

  // What a key does with the image in hand, on a map or among tiles; true where it did something.
  function key(event, at) {
    if (event.ctrlKey || event.metaKey || event.altKey || at === null) return false;
    const name = /^[1-9]$/.test(event.key) ? allNames()[event.key - 1] : undefined;
    if (event.key === " ") toggle(at);
    else if (event.key === "Enter") {
      if (!selected.size) add([at]);
      from = document.activeElement;
      get("label-name").focus();
    } else if (name !== undefined) selected.size ? nameSelected(name) : decide([at], name);
    else return false;
    event.preventDefault();
    return true;
  }

  function table() {
    const cell = text => (/[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    const more = Object.entries(data.columns), rows = [["path", data.column, ...more.map(([name]) => name)]];
    paths.forEach((path, at) => {
      if (nameOf(at) && !unwritable.has(at)) rows.push([path, nameOf(at), ...more.map(([, values]) => values[at] ?? "")]);
    });
    return rows.map(row => row.map(cell).join(",") + "\r\n").join("");
  }
  function save() {
    const link = element("a", "", {download: data.file});
    link.href = URL.createObjectURL(new Blob(["\ufeff", table()], {type: "text/csv"})); // marked as UTF-8 for spreadsheets
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    unsaved = false;
  }

  const tiles = [document, ...[...document.querySelectorAll("template")].map(each => each.content)]
    .flatMap(root => [...root.querySelectorAll("[data-path]")]).filter(tile => numbers.has(tile.dataset.path));
  const numberOf = tile => numbers.get(tile.dataset.path);
  const pictures = new Map(tiles.map(tile => [numberOf(tile), tile.querySelector("img")?.src]));

  function show() {
    get("labelling").hidden = !open && !selected.size && !decided.size;
    get("label-selected").textContent = `${selected.size} selected`;
    const shown = [...selected].filter(at => pictures.get(at)).slice(0, MOST_PICTURES);
    get("label-pictures").replaceChildren(...shown.map(at => element("img", "", {src: pictures.get(at), alt: paths[at], title: paths[at]})));
    for (const id of ["label-do", "label-none", "label-clear"]) get(id).setAttribute("aria-disabled", !selected.size);
    get("label-undo").setAttribute("aria-disabled", !before.length);
    tiles.forEach(paint);
    for (const each of watchers) each();
  }

  function count() {
    const sizes = new Map(allNames().map(name => [name, 0]));
    paths.forEach((_, at) => sizes.has(nameOf(at)) && sizes.set(nameOf(at), sizes.get(nameOf(at)) + 1));
    get("label-counts").replaceChildren(...[...sizes].map(([name, size], at) => {
      const entry = element("li", name);
      if (at < 9) entry.prepend(element("kbd", at + 1), " ");
      entry.append(" ", element("span", size, {className: "count"}));
      return entry;
    }));
    get("label-names").replaceChildren(...allNames().map(name => element("option", "", {value: name})));
    const lost = [...unwritable].filter(nameOf).length;
    get("label-changed").textContent = `${[...decided.keys()].filter(isChanged).length} changed`
      + (kept ? "" : "; this browser keeps nothing of a page that is closed: download before")
      + (lost ? `; ${lost} cannot stand in a table, for the file's name is no text` : "");
  }

  // Tiles: a picture is selected by a click, by keys, or its suggestion taken.
  function paint(tile) {
    const at = numberOf(tile), note = tile.querySelector(".named");
    tile.classList.toggle("picked", selected.has(at));
    if (tile.matches(".pick")) tile.setAttribute("aria-checked", String(selected.has(at)));
    note.textContent = decided.has(at) ? (isChanged(at) ? `→ ${decided.get(at) || "no label"}` : "✓ kept") : "";
    for (const choice of tile.querySelectorAll("input")) choice.checked = decided.has(at) ? choice.value === decided.get(at) : choice.dataset.skip !== undefined;
  }
  function offer(tile) {
    const at = numberOf(tile), {given: label, likely} = tile.dataset, choices = element("fieldset", "");
    choices.append(element("legend", `Label of ${paths[at]}`, {className: "hidden"}));
    for (const [text, value] of [[`take ${likely}`, likely], [`keep ${label}`, label], ["skip", null]]) {
      const line = element("label", ""), choice = element("input", "", {type: "radio", name: `decision-${at}`, value: value ?? ""});
      if (value === null) choice.dataset.skip = "";
      choice.addEventListener("change", () => decide([at], value));
      line.append(choice, " ", text);
      choices.append(line);
    }
    tile.append(choices);
  }
  function walk(list) {
    const here = () => [...list.children].filter(each => each.matches(".pick") && each.offsetHeight);
    list.setAttribute("role", "group");
    list.tabIndex = 0; // one stop of Tab, and arrows from tile to tile
    list.addEventListener("focusin", event => event.target === list ? here()[0]?.focus() : (list.tabIndex = -1));
    list.addEventListener("focusout", () => (list.tabIndex = 0));
    list.addEventListener("click", event => {
      const tile = event.target.matches("img, .blank") && event.target.closest("[data-path]");
      if (!tile) return;
      toggle(numberOf(tile));
      tile.focus();
    });
    list.addEventListener("keydown", event => {
      const tile = event.target;
      if (!tile.matches(".pick")) return;
      const many = here(), next = towards(event.key, tile, many, centre);
      if (next) {
        event.preventDefault();
        if (event.shiftKey) add([numberOf(tile), numberOf(next)]);
        next.focus();
      } else if (key(event, numberOf(tile)) && /^[1-9]$/.test(event.key)) many[many.indexOf(tile) + 1]?.focus();
    });
  }

  function start(always = false) {
    open = always;
    restore();
    for (const tile of tiles) {
      tile.append(element("span", "", {className: "named"}));
      if (tile.dataset.likely !== undefined) offer(tile);
      else {
        tile.classList.add("pick");
        tile.setAttribute("role", "checkbox");
        tile.tabIndex = -1;
      }
    }
    for (const list of new Set(tiles.filter(tile => tile.matches("ul > .pick")).map(tile => tile.parentElement))) walk(list);
    get("labelling").addEventListener("submit", event => {
      event.preventDefault();
      if (!selected.size || !get("label-name").value.trim()) return;
      nameSelected(get("label-name").value);
      get("label-name").value = "";
      (from?.matches(".pick") ? from.nextElementSibling ?? from : from)?.focus();
    });
    get("labelling").addEventListener("keydown", event => event.key === "Escape" && from?.focus());
    get("label-none").addEventListener("click", () => selected.size && nameSelected(""));
    get("label-clear").addEventListener("click", clear);
    get("label-undo").addEventListener("click", undo);
    get("label-again").addEventListener("click", () => decided.size && decide([...decided.keys()], null));
    get("label-save").addEventListener("click", save);
    addEventListener("beforeunload", event => !kept && unsaved && decided.size && event.preventDefault());
    count();
    show();
  }

  return {start, selected, decided, nameOf, isChanged, allNames, toggle, add, key, pictures, watch: one => watchers.push(one)};
})();
