// What the page does beyond reading: sort and filter the candidates, lead from a confusion to its images, and tell of
// the image under the pointer on the map. No library, nothing loaded; every text is set as text, never as HTML.
"use strict";
const find = id => document.getElementById(id);
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

function map() {
  const drawing = find("map-drawing"), svg = drawing.querySelector("svg");
  const tip = find("map-tip"), numbers = given.x.map((_, at) => at), place = at => [given.x[at], given.y[at]];
  const ring = document.createElementNS("http://www.w3.org/2000/svg", "circle");
  ring.setAttribute("class", "here");
  let here = null;

  // What is seen of the drawing: so many times closer, from this corner on. Points and names keep nearly their size.
  const {width, height} = svg.viewBox.baseVal, points = svg.querySelector(".points"), rings = svg.querySelector(".rings");
  const radius = Number(points.dataset.radius), names = svg.querySelector(".names"), size = Number(names.getAttribute("font-size"));
  const away = new Set(); // classes that are not shown
  let times = 1, left = 0, top = 0;

  function where(event) {
    const box = svg.getBoundingClientRect(), scale = width / times / box.width;
    return [left + (event.clientX - box.left) * scale, top + (event.clientY - box.top) * scale, scale];
  }

  function look(closer, x = left + width / times / 2, y = top + height / times / 2) {
    const kept = [(x - left) * times / width, (y - top) * times / height]; // the place that stays where it is
    times = Math.min(40, Math.max(1, closer));
    move(x - kept[0] * width / times, y - kept[1] * height / times);
    const shrunk = times ** -0.75;
    for (const each of points.querySelectorAll("path[stroke]")) each.style.strokeWidth = `${2 * radius * shrunk}px`;
    rings.style.strokeWidth = `${7 * shrunk}px`;
    names.style.fontSize = `${size / times}px`;
    names.style.setProperty("--halo", `${40 / times}px`);
    ring.setAttribute("r", 110 / times);
    ring.style.strokeWidth = `${25 / times}px`;
    draw();
  }

  function move(toLeft, toTop) {
    left = Math.min(width - width / times, Math.max(0, toLeft));
    top = Math.min(height - height / times, Math.max(0, toTop));
    svg.setAttribute("viewBox", `${left} ${top} ${width / times} ${height / times}`);
    drawing.style.touchAction = times > 1 ? "none" : "pan-x pan-y";
    if (here !== null) beside(ring.getBoundingClientRect());
  }

  function show(x, y) { // bring a place into view
    const inside = x >= left && x <= left + width / times && y >= top && y <= top + height / times;
    if (!inside) move(x - width / times / 2, y - height / times / 2);
  }

  const COLOURS = {"-1": "#868e98", 1: "#3b7dd8", 0: "#d1372c"}; // what is wrong lies on top
  const judged = document.createElementNS("http://www.w3.org/2000/svg", "g");
  points.after(judged);

  function draw() {
    const by = find("map-colour")?.value, shown = numbers.filter(at => !away.has(given.label[at]));
    points.style.display = by ? "none" : "";
    for (const each of svg.querySelectorAll("[data-class]")) each.style.display = away.has(Number(each.dataset.class)) ? "none" : "";
    judged.replaceChildren(...(by ? ["-1", "1", "0"] : []).map(value => {
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      path.setAttribute("stroke", COLOURS[value]);
      path.setAttribute("style", `fill: none; stroke-linecap: round; stroke-width: ${2 * radius * times ** -0.75}px`);
      path.setAttribute("d", shown.filter(at => given.right[at] === Number(value)).map(at => `M${place(at).join(" ")}h0`).join(""));
      return path;
    }));
    const far = Math.round(1.5 * radius * times ** -0.75), half = `a${far} ${far} 0 1 0 `;
    rings.setAttribute("d", shown.filter(at => given.test[at]).map(at => `M${given.x[at] - far} ${given.y[at]}${half}${2 * far} 0${half}${-2 * far} 0`).join(""));
    const legend = find("map-judged");
    legend.hidden = !by;
    if (here !== null && away.has(given.label[here])) leave();
  }

  // One pointer drags what is seen, two of them pinch.
  const held = new Map();
  function press(event) {
    held.set(event.pointerId, event);
    near(event);
  }
  function drag(event) {
    const before = held.get(event.pointerId);
    if (!before) return near(event);
    const others = [...held.values()].filter(each => each.pointerId !== event.pointerId);
    held.set(event.pointerId, event);
    if (others.length) {
      const apart = each => Math.hypot(each.clientX - others[0].clientX, each.clientY - others[0].clientY);
      const [x, y] = where(event);
      look(times * apart(event) / Math.max(1, apart(before)), x, y);
    } else if (times > 1) {
      const scale = where(event)[2];
      leave();
      move(left - (event.clientX - before.clientX) * scale, top - (event.clientY - before.clientY) * scale);
    }
  }
  function release(event) { held.delete(event.pointerId); }

  function controls() {
    find("map-in").addEventListener("click", () => look(times * 1.7));
    find("map-out").addEventListener("click", () => look(times / 1.7));
    find("map-whole").addEventListener("click", () => look(1));
    find("map-colour")?.addEventListener("change", draw);
    for (const entry of find("map").querySelectorAll(".legend li[data-class]")) {
      const button = document.createElement("button"), number = Number(entry.dataset.class);
      button.type = "button";
      button.setAttribute("aria-pressed", "true");
      button.title = "Show or hide this class";
      button.append(...entry.childNodes);
      entry.append(button);
      button.addEventListener("click", () => {
        if (!away.delete(number)) away.add(number);
        button.setAttribute("aria-pressed", String(!away.has(number)));
        draw();
      });
    }
    find("map-controls").hidden = false;
  }

  function leave() {
    here = null;
    tip.hidden = true;
    ring.remove();
  }

  function element(name, text) {
    const made = document.createElement(name);
    made.textContent = text;
    return made;
  }

  function tell(at) {
    if (at === here) return;
    here = at;
    const lines = [element("b", given.classes[given.label[at]]), element("span", given.test[at] ? given.test_name : given.rest_name)];
    if (given.paths.length) lines.push(element("code", given.paths[at]));
    if (given.thumbnails[at]) {
      const image = document.createElement("img");
      image.src = `data:image/jpeg;base64,${given.thumbnails[at]}`;
      image.alt = "";
      lines.unshift(image);
    }
    tip.replaceChildren(...lines);
    tip.hidden = false;
    ring.setAttribute("cx", given.x[at]);
    ring.setAttribute("cy", given.y[at]);
    svg.append(ring);
    beside(ring.getBoundingClientRect());
  }

  // Beside the point, inside the window: on the side that has more room.
  function beside(box) {
    const {clientWidth, clientHeight} = document.documentElement, gap = 8;
    const right = box.right + gap + tip.offsetWidth < clientWidth, above = box.top - tip.offsetHeight - gap;
    const left = right ? box.right + gap : Math.max(gap, box.left - gap - tip.offsetWidth);
    const fits = right || box.left - gap - tip.offsetWidth >= gap; // or it would cover its own point
    const top = fits ? box.top + box.height / 2 - tip.offsetHeight / 2 : above > gap ? above : box.bottom + gap;
    tip.style.left = `${Math.min(left, clientWidth - tip.offsetWidth - gap)}px`;
    tip.style.top = `${Math.max(gap, Math.min(top, clientHeight - tip.offsetHeight - gap))}px`;
  }

  function near(event) {
    const [x, y, scale] = where(event);
    let nearest = null, least = (14 * scale) ** 2;
    for (const at of numbers) {
      const distance = (given.x[at] - x) ** 2 + (given.y[at] - y) ** 2;
      if (distance < least && !away.has(given.label[at])) [nearest, least] = [at, distance];
    }
    if (nearest === null) leave();
    else tell(nearest);
  }

  function key(event) {
    if (event.key === "Escape") leave();
    if ("+-0".includes(event.key)) return event.key === "0" ? look(1) : look(times * (event.key === "+" ? 1.5 : 1 / 1.5));
    if (!(event.key in ARROWS)) return;
    event.preventDefault();
    const seen = numbers.filter(at => !away.has(given.label[at]));
    const next = here === null ? seen[0] : towards(event.key, here, seen, place);
    if (next === null || next === undefined) return;
    show(...place(next));
    drawing.scrollIntoView({block: "nearest"});
    tell(next);
  }

  drawing.parentElement.removeAttribute("tabindex"); // the drawing itself is the stop
  drawing.tabIndex = 0;
  drawing.setAttribute("role", "application");
  drawing.setAttribute("aria-label", svg.getAttribute("aria-label"));
  drawing.setAttribute("aria-describedby", "map-help");
  find("map-help").hidden = false;
  controls();
  look(1);
  drawing.addEventListener("pointermove", drag);
  drawing.addEventListener("pointerdown", press);
  for (const name of ["pointerup", "pointercancel"]) addEventListener(name, release);
  drawing.addEventListener("dblclick", event => look(times * 2, ...where(event).slice(0, 2)));
  drawing.addEventListener("wheel", event => {
    if (!event.ctrlKey) return; // the page scrolls
    event.preventDefault();
    look(times * Math.exp(-event.deltaY / 150), ...where(event).slice(0, 2));
  }, {passive: false});
  drawing.addEventListener("pointerleave", event => event.pointerType === "mouse" && leave());
  drawing.addEventListener("focus", () => drawing.matches(":focus-visible") && here === null && numbers.length && tell(0));
  drawing.addEventListener("blur", leave);
  drawing.addEventListener("keydown", key);
  addEventListener("scroll", () => here !== null && beside(ring.getBoundingClientRect()), {passive: true});
}

candidates();
classes();
mistakes();
map();
