// All images: search, filter, sort, page; as cards or as a compact list.

const last = (value, otherwise) => (value === null ? otherwise : value);
const SORTS = {
  score: ["Lowest score", (row) => last(row.score, 101)],
  saving: ["Biggest saving", (row) => (row.best === null ? 0 : row.best - row.bytes)],
  bytes: ["Biggest source", (row) => -last(row.bytes, 0)],
  slow: ["Slowest", (row) => -row.wall_s],
  cost: ["Most costly", (row) => -Number(row.cost)],
  name: ["Name", null],
};
const PAGE = { cards: 24, list: 100 };
const view = { search: "", status: "", format: "", sort: "score", reverse: false, layout: "cards", page: 0 };
let found = rows;

const byName = new Intl.Collator("en", { numeric: true });

function select() {
  const wanted = view.search.trim().toLowerCase();
  found = rows.filter((row) => (!view.status || (view.status === "missed" ? !row.reached : row.status === view.status))
    && (!view.format || row.formats.split(",").includes(view.format))
    && (!wanted || row.name.toLowerCase().includes(wanted)));
  const key = SORTS[view.sort][1];
  const sign = view.reverse ? -1 : 1;
  // What has no variants tells nothing about scores or savings, and stands above among the failures.
  const empty = (row) => (key && !row.count && row.status === "failed" ? 1 : 0);
  found.sort((a, b) => empty(a) - empty(b) || sign * (key ? key(a) - key(b) : byName.compare(a.name, b.name)) || a.index - b.index);
}

function choice(label, key, options) {
  const box = el("select", { onchange: () => { view[key] = box.value; refresh(); } },
    options.map(([value, name]) => el("option", { value }, name)));
  return el("label", { class: "field" }, el("span", {}, label), box);
}

const results = el("div", { class: "results" });
const tally = el("p", { class: "tally", role: "status" });
const pagers = [el("nav", { class: "pager", "aria-label": "Pages" }), el("nav", { class: "pager", "aria-label": "Pages, below" })];

function turn(to, scroll) {
  view.page = to;
  draw();
  if (scroll) document.getElementById("images").scrollIntoView();
}

function drawPager(nav, pages, scroll) {
  const step = (to, label, name) => el("button", {
    type: "button", "aria-label": name, disabled: to < 0 || to >= pages || to === view.page, onclick: () => turn(to, scroll),
  }, label);
  const number = el("input", {
    type: "number", min: "1", max: String(pages), value: String(view.page + 1), "aria-label": `Page, of ${pages}`,
    onchange: (event) => turn(Math.min(pages, Math.max(1, Math.round(Number(event.target.value)) || 1)) - 1, scroll),
  });
  nav.hidden = pages < 2;
  nav.replaceChildren(step(0, "«", "First page"), step(view.page - 1, "‹ Previous", "Previous page"),
    el("span", {}, number, ` of ${count(pages)}`), step(view.page + 1, "Next ›", "Next page"), step(pages - 1, "»", "Last page"));
}

function thumb(card) {
  const fit = card && card.variants.filter((variant) => variant.format !== "jxl")
    .sort((a, b) => a.width * a.height - b.width * b.height || a.bytes - b.bytes)[0];
  return fit ? el("img", { src: fit.url, alt: "", loading: "lazy", decoding: "async" }) : el("span", { class: "blank" });
}

function listItem(row) {
  const shown = el("div", { class: "opened", hidden: true });
  const open = el("button", {
    type: "button", class: "line", "aria-expanded": "false",
    onclick: () => {
      const on = shown.hidden;
      if (on && !shown.firstChild) shown.append(imageCard(row));
      shown.hidden = !on;
      open.setAttribute("aria-expanded", String(on));
    },
  }, thumb(cardOf(row.index)), el("span", { class: "name" }, row.name), badge(row.status),
  el("span", { class: "number" }, row.best === null ? bytes(row.bytes) : `${bytes(row.bytes)} → ${bytes(row.best)}`),
  el("span", { class: "number strong" }, row.best === null ? "–" : change(row.bytes, row.best)),
  el("span", { class: row.reached ? "number" : "number missed" }, row.score === null ? "–" : `score ${fixed(row.score, 1)}`),
  el("span", { class: "number" }, `${seconds(row.cpu_s)} CPU`), el("span", { class: "number" }, usd(row.cost)));
  return el("li", {}, open, shown);
}

function draw() {
  const size = PAGE[view.layout];
  const pages = Math.max(1, Math.ceil(found.length / size));
  view.page = Math.min(view.page, pages - 1);
  const page = found.slice(view.page * size, (view.page + 1) * size);
  tally.textContent = found.length === rows.length ? plural(rows.length, "image") : `${count(found.length)} of ${plural(rows.length, "image")}`;
  results.className = `results as-${view.layout}`;
  if (!page.length) results.replaceChildren(el("p", { class: "nothing" }, "No image matches these filters."));
  else if (view.layout === "cards") results.replaceChildren(...page.map(imageCard));
  else results.replaceChildren(el("ul", { class: "list" }, page.map(listItem)));
  pagers.forEach((nav, place) => drawPager(nav, pages, place > 0));
}

function refresh() {
  view.page = 0;
  select();
  draw();
}

function controls() {
  const formats = Object.keys(totals.formats).sort();
  let timer = null;
  const search = el("input", {
    type: "search", placeholder: "File name", oninput: () => {
      clearTimeout(timer);
      timer = setTimeout(() => { view.search = search.value; refresh(); }, 150);
    },
  });
  const reverse = el("button", {
    type: "button", class: "toggle", "aria-pressed": "false", title: "Reverse the order",
    onclick: () => { view.reverse = !view.reverse; reverse.setAttribute("aria-pressed", String(view.reverse)); refresh(); },
  }, "⇅ Reverse");
  const layouts = ["cards", "list"].map((layout) => el("button", {
    type: "button", class: "toggle", "aria-pressed": String(layout === view.layout),
    onclick: () => {
      view.layout = layout;
      layouts.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.layout === layout)));
      turn(0, false);
    },
    "data-layout": layout,
  }, layout === "cards" ? "Cards" : "List"));
  return el("form", { class: "controls", role: "search", onsubmit: (event) => event.preventDefault() },
    el("label", { class: "field grow" }, el("span", {}, "Search"), search),
    choice("Sort", "sort", Object.entries(SORTS).map(([key, [name]]) => [key, name])), reverse,
    choice("Status", "status", [["", "All"], ["done", "Done"], ["partial", "Partial"], ["failed", "Failed"], ["missed", "Target missed"]]),
    choice("Format", "format", [["", "All"], ...formats.map((name) => [name, formatName(name)])]),
    el("div", { class: "segmented", role: "group", "aria-label": "Layout" }, layouts));
}

function start() {
  masthead();
  showFailures(totals.failures);
  document.getElementById("images").append(
    el("div", { class: "bar-top" }, el("h2", { id: "images-title" }, "Images"), tally),
    controls(), pagers[0], results, pagers[1]);
  document.querySelector(".colophon").append(el("p", { class: "wrap" },
    "Scores are SSIMULACRA2 against the resized source: 90 is visually lossless, 70 high quality. ",
    "Savings compare a source with its largest variant in its smallest format. ",
    "Every fact of this page is also in manifest.jsonl."));
  refresh();
}

start();
