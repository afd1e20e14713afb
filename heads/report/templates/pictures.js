// What a page of pictures does beyond reading: shows some of its tiles at a time, and those that fit the filters.
// No library, nothing loaded. Scripts that follow may use `tiles`, all in their order, and `showTiles`.
"use strict";
const find = id => document.getElementById(id);
const list = find("tiles"), filters = [...document.querySelectorAll("[data-filter]")];
const tiles = [...list.children, ...(find("other-tiles")?.content.children ?? [])];
const atOnce = Number(list.dataset.atOnce);
let pageShown = 0;

const fits = tile => filters.every(one => !one.value || tile.dataset[one.dataset.filter] === one.value);

// Show a page, counted from 0, of the tiles that fit.
function showTiles(page = 0) {
  const found = tiles.filter(fits), last = Math.max(0, Math.ceil(found.length / atOnce) - 1);
  pageShown = Math.min(Math.max(page, 0), last);
  const start = pageShown * atOnce, shown = found.slice(start, start + atOnce);
  list.replaceChildren(...shown);
  const of = found.length < tiles.length ? `${found.length}, ${tiles.length} in all` : `${tiles.length}`;
  find("picture-range").textContent = shown.length ? `${start + 1}–${start + shown.length} of ${of}` : "None fits";
  const numbers = find("page-number");
  numbers.replaceChildren(...Array.from({length: last + 1}, (_, at) => new Option(`${at + 1} of ${last + 1}`, at)));
  numbers.value = pageShown;
  find("page-before").setAttribute("aria-disabled", pageShown === 0); // and not disabled, which would lose the focus
  find("page-after").setAttribute("aria-disabled", pageShown === last);
  find("pager").hidden = last === 0;
}

function turn(page) {
  showTiles(page);
  find("pictures").scrollIntoView();
}

for (const one of filters) one.addEventListener("change", () => showTiles());
find("page-before").addEventListener("click", () => pageShown > 0 && turn(pageShown - 1));
find("page-after").addEventListener("click", event => event.currentTarget.ariaDisabled !== "true" && turn(pageShown + 1));
find("page-number").addEventListener("change", event => turn(Number(event.target.value)));
find("picture-controls").hidden = false;
showTiles();
