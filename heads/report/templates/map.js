// A map under a reader's hands: told of image by image, looked at from nearby, and with images selected by a line round
// them, a click or a key. No library, nothing loaded; every text is set as text, never as HTML.
const find = id => document.getElementById(id);

// A map by its name in the page: `given` are its images, of which `labels` knows the same numbers.
function map(name, given) {
  const part = each => find(`${name}-${each}`), drawing = part("drawing"), svg = drawing.querySelector("svg");
  const tip = part("tip"), numbers = given.x.map((_, at) => at), place = at => [given.x[at], given.y[at]];
  const shape = (kind, more) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", kind);
    for (const [key, value] of Object.entries(more)) made.setAttribute(key, value);
    return made;
  };
  const ring = shape("circle", {class: "here"});
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
    drawing.style.touchAction = lassoing || times > 1 ? "none" : "pan-x pan-y";
    if (here !== null) beside(ring.getBoundingClientRect());
  }

  function show(x, y) { // bring a place into view
    const inside = x >= left && x <= left + width / times && y >= top && y <= top + height / times;
    if (!inside) move(x - width / times / 2, y - height / times / 2);
  }

  const COLOURS = {"-1": "#868e98", 1: "#3b7dd8", 0: "#d1372c"}; // what is wrong lies on top
  const judged = shape("g", {}), named = shape("g", {class: "named-points"}), picked = shape("path", {class: "picked-points"});
  points.after(judged);
  rings.after(named, picked);

  const discs = (many, more) => shape("path", {d: many.map(at => `M${place(at).join(" ")}h0`).join(""), ...more});
  function circles(many, radius) {
    const half = `a${radius} ${radius} 0 1 0 `;
    return many.map(at => `M${given.x[at] - radius} ${given.y[at]}${half}${2 * radius} 0${half}${-2 * radius} 0`).join("");
  }
  const seen = () => numbers.filter(at => !away.has(given.label[at]));

  // What is selected has a ring, and what was named here the colour of its name in a frame.
  function mark() {
    if (!labels) return;
    const size = 2 * radius * times ** -0.75, shown = seen(), names = labels.allNames();
    const renamed = shown.filter(labels.isChanged), disc = (many, stroke, wide) => discs(many, {stroke, style: `fill: none; stroke-linecap: round; stroke-width: ${wide}px`});
    named.replaceChildren(disc(renamed, "currentColor", 2 * size), ...["", ...names].map((name, at) =>
      disc(renamed.filter(each => labels.nameOf(each) === name), name ? given.palette[(at - 1) % given.palette.length] : "Canvas", 1.4 * size)));
    picked.setAttribute("d", circles(shown.filter(at => labels.selected.has(at)), Math.round(size)));
    picked.style.strokeWidth = `${size / 3}px`;
    if (here !== null) tell(here, true);
  }

  function draw() {
    const by = part("colour")?.value, shown = seen();
    points.style.display = by ? "none" : "";
    for (const each of svg.querySelectorAll("[data-class]")) each.style.display = away.has(Number(each.dataset.class)) ? "none" : "";
    const style = `fill: none; stroke-linecap: round; stroke-width: ${2 * radius * times ** -0.75}px`;
    judged.replaceChildren(...(by ? ["-1", "1", "0"] : []).map(value => discs(shown.filter(at => given.right[at] === Number(value)), {stroke: COLOURS[value], style})));
    rings.setAttribute("d", circles(shown.filter(at => given.test[at]), Math.round(1.5 * radius * times ** -0.75)));
    if (part("judged")) part("judged").hidden = !by;
    if (here !== null && away.has(given.label[here])) leave();
    mark();
  }

  // One pointer drags what is seen, or draws a line round images; two of them pinch. A click selects one image.
  const held = new Map(), lasso = shape("path", {class: "lasso"});
  let begun = null, line = null, lassoing = false, wandered = false; // a line may end where it began, and is no click
  function press(event) {
    if (event.button > 0) return;
    held.set(event.pointerId, event);
    near(event);
    begun = held.size === 1 ? event : null;
    wandered = false;
    line = labels && begun && (lassoing || event.shiftKey) ? [where(event).slice(0, 2)] : null;
    if (line) drawing.setPointerCapture(event.pointerId);
    else lasso.remove();
  }
  function drag(event) {
    const before = held.get(event.pointerId);
    if (!before) return near(event);
    const others = [...held.values()].filter(each => each.pointerId !== event.pointerId);
    held.set(event.pointerId, event);
    wandered ||= !begun || Math.hypot(event.clientX - begun.clientX, event.clientY - begun.clientY) > 4;
    if (others.length) {
      const apart = each => Math.hypot(each.clientX - others[0].clientX, each.clientY - others[0].clientY);
      const [x, y] = where(event);
      look(times * apart(event) / Math.max(1, apart(before)), x, y);
    } else if (line) {
      leave();
      line.push(where(event).slice(0, 2));
      lasso.setAttribute("d", `M${line.map(at => at.map(Math.round).join(" ")).join("L")}Z`);
      svg.append(lasso);
    } else if (times > 1) {
      const scale = where(event)[2];
      leave();
      move(left - (event.clientX - before.clientX) * scale, top - (event.clientY - before.clientY) * scale);
    }
  }
  function release(event) {
    if (!held.delete(event.pointerId)) return;
    if (labels && begun && event.type === "pointerup") {
      if (!wandered) {
        near(event);
        if (here !== null) labels.toggle(here);
      } else if (line) labels.add(seen().filter(at => isInside(...place(at), line)));
    }
    begun = line = null;
    lasso.remove();
  }
  // A line round a point crosses what goes from it to the right an odd number of times.
  function isInside(x, y, corners) {
    let inside = false;
    corners.forEach(([x2, y2], number) => {
      const [x1, y1] = corners.at(number - 1);
      if (y1 > y !== y2 > y && x < x1 + (y - y1) * (x2 - x1) / (y2 - y1)) inside = !inside;
    });
    return inside;
  }

  function controls() {
    part("in").addEventListener("click", () => look(times * 1.7));
    part("out").addEventListener("click", () => look(times / 1.7));
    part("whole").addEventListener("click", () => look(1));
    part("colour")?.addEventListener("change", draw);
    if (labels) {
      const button = element("button", "Lasso", {type: "button", title: "Draw a line round images"});
      button.setAttribute("aria-pressed", "false");
      button.addEventListener("click", () => {
        lassoing = !lassoing;
        button.setAttribute("aria-pressed", String(lassoing));
        move(left, top);
      });
      part("whole").after(button);
      labels.watch(mark);
    }
    for (const entry of drawing.closest("section").querySelectorAll(".legend li[data-class]")) {
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
    part("controls").hidden = false;
  }

  function leave() {
    here = null;
    tip.hidden = true;
    ring.remove();
  }

  function tell(at, again = false) {
    if (at === here && !again) return;
    here = at;
    const lines = [element("b", given.classes[given.label[at]]), element("span", given.test[at] ? given.test_name : given.rest_name)];
    if (labels?.isChanged(at)) lines.push(element("span", `→ ${labels.nameOf(at) || "no label"}`, {className: "named"}));
    if (given.paths.length) lines.push(element("code", given.paths[at]));
    const picture = given.thumbnails[at] ? `data:image/jpeg;base64,${given.thumbnails[at]}` : labels?.pictures.get(at);
    if (picture) lines.unshift(element("img", "", {src: picture, alt: ""}));
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
    if (labels?.key(event, here)) return;
    if (event.key === "Escape") leave();
    if ("+-0".includes(event.key)) return event.key === "0" ? look(1) : look(times * (event.key === "+" ? 1.5 : 1 / 1.5));
    if (!(event.key in ARROWS)) return;
    event.preventDefault();
    const next = here === null ? seen()[0] : towards(event.key, here, seen(), place);
    if (next === null || next === undefined) return;
    if (labels && event.shiftKey) labels.add(here === null ? [next] : [here, next]);
    show(...place(next));
    drawing.scrollIntoView({block: "nearest"});
    tell(next);
  }

  drawing.parentElement.removeAttribute("tabindex"); // the drawing itself is the stop
  drawing.tabIndex = 0;
  drawing.setAttribute("role", "application");
  drawing.setAttribute("aria-label", svg.getAttribute("aria-label"));
  drawing.setAttribute("aria-describedby", `${name}-help`);
  part("help").hidden = false;
  for (const [at, text] of Object.entries(given.thumbnails)) labels?.pictures.set(Number(at), `data:image/jpeg;base64,${text}`);
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
