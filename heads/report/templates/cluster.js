// What the page of clusters does: each of its maps is told of, and a whole cluster can be selected.
const given = JSON.parse(find("map-details").textContent), maps = new Map();
for (const [name, own] of Object.entries(given.maps)) {
  maps.set(name, {...given, ...own});
  map(name, maps.get(name));
}
for (const card of labels ? document.querySelectorAll(".cluster") : []) {
  const {label} = maps.get(card.dataset.map), number = Number(card.dataset.number);
  const button = element("button", "Select this cluster", {type: "button"});
  button.addEventListener("click", () => labels.add(label.flatMap((own, at) => (own === number ? [at] : []))));
  card.querySelector("h3").append(" ", button);
}
labels?.start();
