"use strict";
// What our pages have in common: elements, the words and units of numbers, bars, failures.

const text = (id) => document.getElementById(id).textContent;
const lines = (id) => (text(id) ? text(id).split("\n") : []);
const FORMAT_NAMES = {
  jpeg: "JPEG", webp: "WebP", avif: "AVIF", jxl: "JPEG XL", png: "PNG", gif: "GIF", tiff: "TIFF",
  heic: "HEIC", bmp: "BMP",
};

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

const formatClass = (format) => `hue format-${format}`;

function figure(label, value, note, extra = "") {
  return el("div", { class: `figure ${extra}` },
    el("dt", {}, label), el("dd", {}, el("strong", {}, value), note ? el("span", {}, note) : null));
}

// ---- failures

function showFailures(failures) {
  const groups = Object.entries(failures).sort((a, b) => b[1].count - a[1].count);
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
          variant ? el("span", { class: "tag" }, variant) : null), source.includes("/") ? el("p", { class: "path" }, source) : null),
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
