// What the report does beyond reading, labels and map: sort and filter the candidates, and lead from a confusion to its
// images. No library, nothing loaded; every text is set as text, never as HTML.
const ROWS_AT_FIRST = 20;
const given = JSON.parse(find("map-details").textContent); // images and classes

// Let a click on a table's headers sort its rows by what these say of themselves.
function sortable(table, body, show) {
  const rows = [...body.rows], headers = [...table.querySelectorAll("[data-key]")];

  function sort(header, direction) {
    const key = header.dataset.key, sign = direction === "ascending" ? 1 : -1;
    const value = row => (key === "name" ? row.querySelector("th").textContent : row.dataset[key] === "" ? null : Number(row.dataset[key]));
    const order = (a, b) => {
      const [one, other] = [value(a), value(b)];
      if (one === null || other === null) return (one === null) - (other === null); // no number comes last, either way
      return sign * (key === "name" ? one.localeCompare(other, "en", {numeric: true}) : one - other) || a.dataset.rank - b.dataset.rank;
    };
    body.append(...rows.sort(order));
    for (const each of headers) each.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", direction);
    show();
  }

  for (const header of headers) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => {
      const first = header.dataset.first, now = header.getAttribute("aria-sort");
      sort(header, now === first ? (first === "ascending" ? "descending" : "ascending") : first);
    });
  }
}

function classes() {
  const table = find("class-table"), body = find("class-rows");
  if (!table) return;
  const opening = [...body.rows].filter(row => !row.classList.contains("more")).length;
  sortable(table, body, () => [...body.rows].forEach((row, at) => row.classList.toggle("more", at >= opening)));
}

function candidates() {
  const body = find("candidate-rows"), rows = [...body.rows], all = find("all-candidates");
  const words = find("find-candidate"), head = find("pick-head");
  const texts = new Map(rows.map(row => [row, row.querySelector("th").textContent.toLowerCase()]));

  // Filtered, all settings count; unfiltered, the table opens with the rows that were chosen for that.
  function show() {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const filtered = wanted.length > 0 || head.value !== "";
    let found = 0, shown = 0;
    for (const row of body.rows) {
      const fits = (!head.value || row.dataset.head === head.value) && wanted.every(word => texts.get(row).includes(word));
      const folded = filtered ? found >= ROWS_AT_FIRST : !("opening" in row.dataset);
      found += fits;
      row.hidden = !fits;
      row.classList.toggle("more", fits && folded);
      shown += fits && (!folded || Boolean(all?.checked));
    }
    find("n-candidates").textContent = found ? `${shown} of ${rows.length} shown` : "None fits: try fewer words or all heads";
  }

  sortable(find("candidate-table"), body, show);
  words.addEventListener("input", show);
  head.addEventListener("change", show);
  all?.addEventListener("change", show);
  find("candidate-filter").hidden = false;
  show();
}

function mistakes() {
  const section = find("mistakes"), bar = find("pair-filter"), images = [...section.querySelectorAll(".gallery > li, .rest li")];
  if (!bar) return;
  const cells = [...document.querySelectorAll("#confusion svg a[data-pair]")];

  function only(pair) {
    const name = pair && pair.split("-").map(number => given.classes[number]).join(" → ");
    const kept = images.filter(image => !pair || image.dataset.pair === pair);
    for (const image of images) image.hidden = !kept.includes(image);
    find("mistake-list").classList.toggle("long", !pair); // of one pair all are shown
    const count = kept.length === 1 ? "1 image" : `${kept.length} images`;
    find("pair-shown").textContent = kept.length ? `Only ${name}: ${count}` : `${name}: the page keeps no image of these`;
    bar.hidden = !pair;
    for (const rest of section.querySelectorAll(".rest")) rest.open = Boolean(pair);
    for (const cell of cells) cell.classList.toggle("picked", cell.dataset.pair === pair);
  }

  for (const link of document.querySelectorAll("#confusion a[data-pair]")) {
    link.addEventListener("click", event => {
      event.preventDefault();
      only(link.dataset.pair);
      section.focus({preventScroll: true});
      section.scrollIntoView();
    });
  }
  // One stop for Tab in the matrix, and arrows from cell to cell: dozens of stops would be a wall.
  const centre = cell => { const box = cell.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; };
  cells.forEach((cell, at) => {
    cell.tabIndex = at ? -1 : 0;
    cell.addEventListener("keydown", event => {
      const next = towards(event.key, cell, cells, centre);
      if (!next) return;
      event.preventDefault();
      cell.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    });
  });
  find("all-pairs").addEventListener("click", () => { only(null); section.focus({preventScroll: true}); });
}

candidates();
classes();
mistakes();
map("map", given);
labels?.start();
