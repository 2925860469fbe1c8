// Time series by uPlot: light and dark, a legend that follows the pointer, a table for who cannot see them.

import { element, setText } from "./live.js";
import { figure, moment } from "./format.js";

const TABLE_ROWS = 60;
const GAP_STEPS = 2.5;

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--pf-${name}`).trim();
}

/** The same colour, so much of it. */
function faint(hex, share) {
  return hex + Math.round(share * 255).toString(16).padStart(2, "0");
}

/** Where points are missing (more than 2.5 steps apart) a line must not lead over: null between. */
export function withGaps(at_s, rows, step_s) {
  const times = [];
  const columns = rows.map(() => []);
  at_s.forEach((at, i) => {
    if (i && at - at_s[i - 1] > step_s * GAP_STEPS) {
      times.push(at_s[i - 1] + step_s);
      for (const column of columns) column.push(null);
    }
    times.push(at);
    rows.forEach((row, r) => columns[r].push(row[i] ?? null));
  });
  return [times, columns];
}

/** Each series on top of those before it; as drawn, the topmost first. */
function stacked(columns) {
  const sums = [];
  let below = columns[0]?.map(() => 0) ?? [];
  for (const column of columns) {
    below = column.map((value, i) => (value === null ? null : (below[i] ?? 0) + value));
    sums.push(below);
  }
  return sums;
}

/**
 * A chart in `host`.
 *
 * title: its name, for screen readers and the table. format: a value as text with its unit. kind: "line",
 * "area" or "bars" (bars and stack: true pile up). series: [{label, colour}], colour one of the names
 * --pf-<name> of pixfleet.css ("blue", "green", …). top: the least that the value axis reaches to.
 * marks: [{value, label, colour}], horizontal lines such as a budget.
 *
 * Returns {update(at_s, rows, step_s, range_s)}: UTC seconds, a row of numbers or nulls for each series,
 * the seconds between points (0: gaps are not sought), and [from, until] of the time axis.
 */
export function timeChart(host, { title, format = figure, kind = "line", stack = false, series, top = 0, marks = [] }) {
  const canvas = element("div", { class: "pf-chart-canvas", role: "img", "aria-label": title });
  const table = element("div", { class: "pf-chart-table table-responsive", hidden: true, tabindex: "0" });
  const toggle = element(
    "button",
    { type: "button", class: "btn btn-sm pf-chart-toggle", "aria-pressed": "false", click: flip },
    "Show as table",
  );
  host.classList.add("pf-chart");
  host.replaceChildren(canvas, table, toggle);
  let plot = null;
  let times = [];
  let columns = series.map(() => []);
  let range = null;

  function options() {
    const piled = stack ? [...series.keys()].reverse() : [...series.keys()];
    const grid = { stroke: colour("grid"), width: 1 };
    const axis = { stroke: colour("muted"), grid, ticks: { ...grid, size: 4 }, font: "12px system-ui, sans-serif" };
    const paths =
      kind === "bars" ? window.uPlot.paths.bars({ size: [0.8, 60], align: 1 }) : window.uPlot.paths.linear();
    const size = { width: Math.max(host.clientWidth, 200), height: host.clientHeight > 120 ? 220 : 220 };
    return {
      ...size,
      padding: [10, 8, 0, 0],
      scales: {
        x: { range: (_, low, high) => range ?? [low, high] },
        y: { range: (_, low, high) => [Math.min(0, low ?? 0), Math.max(top, (high ?? 0) * 1.08) || 1] },
      },
      axes: [
        axis,
        { ...axis, size: 72, values: (_, splits) => splits.map((split) => format(split)) },
      ],
      cursor: { points: { size: 7 }, drag: { x: false, y: false } },
      legend: { live: true },
      series: [
        { label: "Time", value: (_, at) => (at === null ? "–" : moment(at)) },
        ...piled.map((index) => {
          const stroke = colour(series[index].colour);
          return {
            label: series[index].label,
            stroke,
            width: kind === "bars" ? 0 : 1.75,
            fill: kind === "line" ? undefined : faint(stroke, kind === "bars" || stack ? 0.85 : 0.18),
            paths,
            points: { show: false },
            // Of a pile the height is drawn, and its own part told.
            value: (_, __, ___, i) => format(i === null ? null : columns[index][i]),
          };
        }),
      ],
      hooks: { draw: [drawMarks] },
    };
  }

  function drawMarks(drawn) {
    const { ctx, bbox } = drawn;
    for (const mark of marks) {
      const y = drawn.valToPos(Number(mark.value), "y", true);
      if (!(y >= bbox.top && y <= bbox.top + bbox.height)) continue;
      ctx.save();
      ctx.strokeStyle = ctx.fillStyle = colour(mark.colour ?? "red");
      ctx.setLineDash([6, 4]);
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
      ctx.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
      ctx.fillText(mark.label, bbox.left + 6, y - 5);
      ctx.restore();
    }
  }

  function drawn() {
    return [times, ...(stack ? stacked(columns).reverse() : columns)];
  }

  function draw() {
    plot?.destroy();
    plot = new window.uPlot(options(), drawn(), canvas);
  }

  function tabulate() {
    const head = ["Time", ...series.map((one) => one.label)].map((name) => element("th", { scope: "col" }, name));
    const rows = [];
    for (let i = times.length - 1; i >= 0 && rows.length < TABLE_ROWS; i -= 1) {
      if (columns.every((column) => column[i] === null)) continue;
      const cells = columns.map((column) => element("td", { class: "pf-number" }, format(column[i])));
      rows.push(element("tr", {}, element("th", { scope: "row" }, moment(times[i])), ...cells));
    }
    const caption = element("caption", {}, `${title}, the newest first`);
    table.replaceChildren(
      element(
        "table",
        { class: "table table-sm pf-table" },
        ...[caption, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows)],
      ),
    );
  }

  function flip() {
    table.hidden = !table.hidden;
    canvas.hidden = !table.hidden;
    toggle.setAttribute("aria-pressed", String(!table.hidden));
    setText(toggle, table.hidden ? "Show as table" : "Show as chart");
    if (table.hidden) draw();
    else tabulate();
  }

  new ResizeObserver(() => {
    if (plot && !canvas.hidden) plot.setSize({ width: Math.max(host.clientWidth, 200), height: plot.height });
  }).observe(host);
  new MutationObserver(() => {
    if (plot && !canvas.hidden) draw();
  }).observe(document.documentElement, { attributeFilter: ["data-bs-theme"] });

  return {
    update(at_s, rows, step_s = 0, range_s = null) {
      [times, columns] = step_s ? withGaps(at_s, rows, step_s) : [at_s, rows];
      range = range_s;
      if (!table.hidden) tabulate();
      else if (plot) plot.setData(drawn());
      else draw();
      const last = columns.map((column, s) => `${series[s].label} ${format(column.at(-1))}`);
      canvas.setAttribute("aria-label", `${title}. Last: ${times.length ? last.join(", ") : "nothing yet"}`);
    },
  };
}
