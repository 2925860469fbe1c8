"use strict";
// The report's ground: its data, the words and units of its numbers, its masthead and failures.

const text = (id) => document.getElementById(id).textContent;
const totals = JSON.parse(text("data-totals"));
const lines = (id) => (text(id) ? text(id).split("\n") : []);
const rowLines = lines("data-rows");
const cardLines = text("data-cards").split("\n");
const saliencyLines = text("data-saliency").split("\n");
const pictureLines = text("data-pictures").split("\n");

const ROW = ["name", "status", "formats", "score", "bytes", "best", "wall_s", "cpu_s", "cost", "count", "reached"];
const VARIANT = [
  "name", "format", "path", "width", "height", "bytes", "quality", "metric", "target", "score",
  "reached", "probes", "encoder", "cpu_s", "memo", "kept_source", "frames", "notes",
  "floors",
];
const FLOORS = [
  "salient_target", "background_target", "salient_score", "background_score", "salient_share", "worst_tile_score",
  "treatment", "strength", "uniform_bytes",
];
const PICTURE = ["width", "height", "sources", "html"];
const SUFFIXES = { jpeg: "jpg" };
const FORMAT_NAMES = {
  jpeg: "JPEG", webp: "WebP", avif: "AVIF", jxl: "JPEG XL", png: "PNG", gif: "GIF", tiff: "TIFF",
  heic: "HEIC", bmp: "BMP",
};
const named = (keys, values) => Object.fromEntries(keys.map((key, place) => [key, values[place]]));
const rows = rowLines.map((line, index) => Object.assign(named(ROW, JSON.parse(line)), { index }));

function cardOf(index) {
  if (!cardLines[index]) return null;
  const card = JSON.parse(cardLines[index]);
  card.variants = card.variants.map((values) => {
    const variant = named(VARIANT, values);
    variant.encoder = totals.encoders[variant.encoder];
    const file = `${variant.name}.${SUFFIXES[variant.format] || variant.format}`;
    variant.floors = variant.floors && named(FLOORS, variant.floors);
    variant.url = "./" + (variant.path || `${card.folder}/${file}`);
    return variant;
  });
  card.saliency = saliencyLines[index] || null;
  card.pictures = JSON.parse(pictureLines[index] || "[]").map((values) => named(PICTURE, values));
  return card;
}

// ---- elements and icons

function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "class") node.className = value;
    else if (key === "style") for (const [name, is] of Object.entries(value)) node.style.setProperty(name, is);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

// ---- numbers

const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const count = (value) => grouped.format(value);
const plural = (value, one, many = one + "s") => `${count(value)} ${value === 1 ? one : many}`;
const significant = (value, digits = 3) =>
  new Intl.NumberFormat("en", { maximumSignificantDigits: digits, minimumSignificantDigits: digits }).format(value);
const fixed = (value, digits) =>
  new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);

function bytes(value) {
  if (value === null || value === undefined) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let power = 0;
  while (value >= 999.5 && power < units.length - 1) { value /= 1000; power += 1; }
  return `${power === 0 || value >= 99.95 ? count(value) : fixed(value, value >= 9.995 ? 1 : 2)} ${units[power]}`;
}

function usd(value) {
  const amount = Number(value);
  if (amount === 0) return "$0";
  const sign = amount < 0 ? "−" : "";
  const size = Math.abs(amount);
  if (size >= 0.995) return `${sign}$${fixed(size, 2)}`;
  // Below a cent two significant digits tell more than two decimals would.
  const digits = Math.min(12, Math.max(2, 1 - Math.floor(Math.log10(size))));
  return `${sign}$${fixed(size, digits)}`;
}

function seconds(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0 s";
  if (value < 0.0995) return `${value < 0.00995 ? fixed(value * 1000, 1) : count(value * 1000)} ms`;
  if (value < 99.5) return `${fixed(value, value < 9.95 ? 2 : 1)} s`;
  const minutes = Math.round(value / 60);
  if (value < 5970) return `${Math.floor(value / 60)} min ${Math.floor(value % 60)} s`;
  return `${count(Math.floor(minutes / 60))} h ${minutes % 60} min`;
}

function percent(share, digits = 0) {
  return `${fixed(share * 100, digits)} %`;
}

function change(before, after) {
  if (!before) return "–";
  const share = after / before - 1;
  return `${share <= 0 ? "−" : "+"}${percent(Math.abs(share))}`;
}

const formatName = (name) => FORMAT_NAMES[name] || (name || "unknown").toUpperCase();

// ---- bars

function stackedBar(parts, unit, label) {
  const whole = parts.reduce((sum, part) => sum + part.value, 0);
  const shown = parts.filter((part) => part.value > 0);
  const described = shown.map((part) => `${part.name} ${unit(part.value)}`).join(", ");
  return el("div", { class: "measure" },
    el("div", { class: "bar", role: "img", "aria-label": `${label}: ${described || "nothing"}` },
      shown.map((part) => el("span", {
        class: part.class, title: `${part.name}: ${unit(part.value)}`,
        style: { "flex-grow": String(part.value / (whole || 1)) },
      }))),
    el("ul", { class: "legend" }, parts.map((part) => el("li", {},
      el("i", { class: part.class }), el("span", {}, part.name), el("b", {}, unit(part.value)),
      part.more ? el("small", {}, part.more) : null))));
}

const stageOrder = totals.stages.map(([stage]) => stage);
const stageClass = (stage) => `hue hue-${Math.max(0, stageOrder.indexOf(stage)) % 8}`;
const formatClass = (format) => `hue format-${format}`;

// ---- masthead

function figure(label, value, note, extra = "") {
  return el("div", { class: `figure ${extra}` },
    el("dt", {}, label), el("dd", {}, el("strong", {}, value), note ? el("span", {}, note) : null));
}

function masthead() {
  const { done = 0, partial = 0, failed = 0 } = totals.status;
  const wall = totals.wall_s;
  const outcome = [`${count(done)} done`, partial ? ` · ${count(partial)} partial` : "", " · ",
    el("span", { class: failed ? "missed" : "" }, `${count(failed)} failed`)];
  const missing = totals.images - totals.manifests;
  const when = totals.last ? new Date(totals.last).toLocaleString("en-GB", { dateStyle: "long", timeStyle: "short" }) : "";
  const perThousand = totals.images ? usd((Number(totals.cost_usd) / totals.images) * 1000) : "$0";
  const formats = Object.entries(totals.formats).sort((a, b) => b[1][2] - a[1][2]);
  const notes = [];
  if (missing > 0) notes.push(`${plural(missing, "image")} of the batch left no manifest and ${missing === 1 ? "is" : "are"} not shown.`);
  const leftOut = [
    totals.kept_saliency < totals.saliency && `the saliency maps of ${plural(totals.saliency - totals.kept_saliency, "image")}`,
    totals.kept_pictures < totals.pictures && `the HTML snippets of ${plural(totals.pictures - totals.kept_pictures, "image")}`,
    totals.kept_cards < totals.kept_rows && `all but the figures of ${plural(totals.kept_rows - totals.kept_cards, "image")}`,
    totals.kept_rows < totals.manifests && `${plural(totals.manifests - totals.kept_rows, "image")} altogether`,
  ].filter(Boolean);
  if (leftOut.length) {
    notes.push(`Left out to keep this page small: ${leftOut.join("; ")}. Nothing is left out of the ${totals.ends} images at either end of each sort order, and manifest.jsonl beside this page holds everything.`);
  }
  document.querySelector(".masthead").append(el("div", { class: "wrap" },
    el("p", { class: "brand" }, el("span", { class: "mark", "aria-hidden": "true" }), "pixfleet report"),
    el("div", { class: "heading" },
      el("h1", {}, totals.title),
      el("p", { class: "when" }, `batch ${totals.batch}`, when ? ` · ${when}` : "")),
    el("dl", { class: "figures" },
      figure("Source to best full-size variant", change(totals.compared, totals.compared_best),
        `${bytes(totals.compared)} → ${bytes(totals.compared_best)}, the largest size in its smallest format`, "lead"),
      figure("Images", count(totals.images), outcome),
      figure("Bytes", `${bytes(totals.bytes_in)} → ${bytes(totals.bytes_out)}`,
        `read → written, ${plural(totals.variants, "variant")} together`),
      figure("Cost", usd(totals.cost_usd), `${perThousand} per 1,000 images`),
      figure("Spared by the memo", usd(totals.saved_usd),
        `${seconds(totals.saved_cpu_s)} of CPU, ${plural(totals.memo_hits, "hit")}`),
      figure("Time", wall === null ? seconds(totals.cpu_s) : seconds(wall),
        wall === null ? "of CPU" : `${seconds(totals.cpu_s)} of CPU · ${significant(totals.images / (wall || 1))} images/s`),
      figure("Quality target", totals.missed ? `${count(totals.missed)} missed` : "all reached",
        `of ${plural(totals.variants, "variant")}`, totals.missed ? "alert" : "")),
    el("div", { class: "charts" },
      el("section", {}, el("h2", {}, "Smallest format of each size"),
        stackedBar(formats.map(([name, [made, size, won]]) => ({
          name: formatName(name), value: won, class: formatClass(name), more: `of ${count(made)}, ${bytes(size)}`,
        })), count, "Smallest format")),
      el("section", {}, el("h2", {}, "CPU by stage"),
        stackedBar(totals.stages.map(([name, value]) => ({ name, value, class: stageClass(name) })), seconds, "CPU by stage"))),
    notes.length ? el("p", { class: "notice" }, notes.join(" ")) : null));
}

// ---- failures

function failures() {
  const groups = Object.entries(totals.failures).sort((a, b) => b[1].count - a[1].count);
  const section = document.getElementById("failures");
  if (!groups.length) return;
  section.hidden = false;
  const sum = groups.reduce((total, [, group]) => total + group.count, 0);
  section.append(el("h2", { id: "failures-title" }, plural(sum, "failure")),
    ...groups.map(([code, group]) => failureGroup(code, group, sum > 20 ? 3 : 8)));
}

function failureGroup(code, group, first) {
  const hints = new Set(group.items.map(([, , hint]) => hint));
  const list = el("ul", {});
  const more = el("button", { type: "button", class: "quiet", onclick: () => fill(200) });
  let shown = 0;
  function fill(step) {
    for (const [source, message, hint, variant] of group.items.slice(shown, shown + step)) {
      list.append(el("li", {},
        el("div", {}, el("p", { class: "file" }, source.split("/").pop() || source,
          variant ? el("span", { class: "tag" }, variant) : null), el("p", { class: "path" }, source)),
        el("div", {}, el("p", {}, message), hints.size > 1 ? el("p", { class: "hint" }, hint) : null)));
      shown += 1;
    }
    const left = group.items.length - shown;
    more.hidden = left <= 0;
    more.textContent = `Show ${count(Math.min(left, 200))} more`;
  }
  fill(first);
  return el("article", { class: "failure" },
    el("header", {}, el("h3", {}, el("code", {}, code), el("span", { class: "tally" }, `× ${count(group.count)}`)),
      hints.size === 1 ? el("p", { class: "hint" }, [...hints][0]) : null), list, more,
    group.count > group.items.length
      ? el("p", { class: "note" }, `${count(group.count - group.items.length)} more are in manifest.jsonl.`) : null);
}
