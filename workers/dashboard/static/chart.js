// Time series by uPlot: light and dark, a legend that follows the pointer, a table for who cannot see them.

import { element, setText } from "./live.js";
import { figure, moment } from "./format.js";

const HEIGHT_PX = 190;
const TABLE_ROWS = 60;
const GAP_STEPS = 2.5;
const DAY_S = 86_400;

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--pf-${name}`).trim();
}

/** The same colour, so much of it. */
function faint(hex, share) {
  return hex + Math.round(share * 255).toString(16).padStart(2, "0");
}

/** As short as an axis wants it: $4 for $4.00, 1.5 s for 1.50 s. */
function short(text) {
  return text.replace(/(\.\d*?)0+(?!\d)/, "$1").replace(/\.(?!\d)/, "");
}

/** 14:05, and the day where one begins; days where a step is one. */
function tick(at_s, step_s, zone) {
  const at = new Date(at_s * 1_000);
  const time = at.toLocaleTimeString("en-GB", zone);
  if (step_s >= DAY_S || time === "00:00:00") {
    return at.toLocaleDateString("en-GB", { day: "numeric", month: "short", ...zone });
  }
  return step_s < 60 ? time : time.slice(0, 5);
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

/** Indices of values with none beside them: no line leads to them. */
function alone(plot, index) {
  const column = plot.data[index];
  const missing = (i) => column[i] === null || column[i] === undefined;
  return [...column.keys()].filter((i) => !missing(i) && missing(i - 1) && missing(i + 1));
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
 * title: its name, for screen readers and the table.
 * series: [{label, colour}], colour one of the names --pf-<name> of pixfleet.css ("blue", "green", …).
 * format: a value as text with its unit.
 * kind: "line", "area" or "bars"; stack: they pile up.
 * utc: hours and days are UTC's, as money has them; told: a point's time as text.
 * top: the least that the value axis reaches to.
 * marks: [{value, label, colour}], horizontal lines such as a budget.
 *
 * Returns {update(at_s, rows, step_s, range_s), close()}: UTC seconds, a row of numbers or nulls for each
 * series, the seconds between points (0: gaps are not sought), and [from, until] of the time axis.
 */
export function timeChart(host, look) {
  const { title, series, format = figure, kind = "line", stack = false, top = 0, marks = [] } = look;
  const { utc = false, told = moment } = look;
  const canvas = element("div", { class: "pf-chart-canvas", role: "img", "aria-label": title });
  const table = element("div", { class: "pf-chart-table table-responsive", hidden: true, tabindex: "0" });
  const toggle = element(
    "button",
    { type: "button", class: "btn btn-sm pf-chart-toggle", "aria-pressed": "false", click: flip },
    "Show as table",
  );
  host.classList.add("pf-chart");
  host.replaceChildren(canvas, table, toggle);
  const zone = utc ? { timeZone: "UTC" } : {};
  const timed = (step_s) => (at_s) => tick(at_s, step_s, zone);
  let plot = null;
  let times = [];
  let columns = series.map(() => []);
  let range = null;

  function width() {
    return Math.max(host.clientWidth, 200);
  }

  function options() {
    const piled = stack ? [...series.keys()].reverse() : [...series.keys()];
    const grid = { stroke: colour("grid"), width: 1 };
    const axis = { stroke: colour("muted"), grid, ticks: { ...grid, size: 4 }, font: "12px system-ui, sans-serif" };
    const paths =
      kind === "bars" ? window.uPlot.paths.bars({ size: [0.8, 60], align: 1 }) : window.uPlot.paths.linear();
    return {
      width: width(),
      height: HEIGHT_PX,
      padding: [10, 20, 0, 0],
      tzDate: (at_s) => (utc ? window.uPlot.tzDate(new Date(at_s * 1_000), "UTC") : new Date(at_s * 1_000)),
      scales: {
        x: { range: (_, low, high) => range ?? [low, high] },
        y: { range: (_, low, high) => [Math.min(0, low ?? 0), Math.max(top, (high ?? 0) * 1.08) || 1] },
      },
      axes: [
        { ...axis, size: 30, space: 64, values: (_, splits, __, ___, step_s) => splits.map(timed(step_s)) },
        { ...axis, size: 72, space: 36, values: (_, splits) => splits.map((split) => short(format(split))) },
      ],
      cursor: { points: { size: 7 }, drag: { x: false, y: false } },
      legend: { live: true },
      series: [
        { label: "Time", value: (_, at) => told(at) },
        ...piled.map((index) => {
          const stroke = colour(series[index].colour);
          return {
            label: series[index].label,
            stroke,
            width: kind === "bars" ? 0 : 1.75,
            fill: kind === "line" ? undefined : faint(stroke, kind === "bars" || stack ? 0.85 : 0.18),
            paths,
            points: kind === "bars" ? { show: false } : { show: true, size: 4, filter: alone },
            // Of a pile the height is drawn, and its own part told.
            value: (_, __, ___, i) => format(i === null ? null : columns[index][i]),
          };
        }),
      ],
      hooks: { draw: [drawMarks], setCursor: [tellLast] },
    };
  }

  // Where no pointer is the legend tells the newest.
  function tellLast(shown) {
    if (!(shown.cursor.left >= 0) && times.length) shown.setLegend({ idx: times.length - 1 }, false);
  }

  function drawMarks(drawn) {
    const { ctx, bbox } = drawn;
    const surface = getComputedStyle(host).getPropertyValue("--flower-surface");
    for (const mark of marks) {
      const y = drawn.valToPos(Number(mark.value), "y", true);
      if (!(y >= bbox.top && y <= bbox.top + bbox.height)) continue;
      ctx.save();
      ctx.strokeStyle = ctx.fillStyle = colour(mark.colour ?? "red");
      ctx.textAlign = "left";
      ctx.setLineDash([6, 4]);
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
      ctx.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
      const text = ctx.measureText(mark.label);
      const [left, high] = [bbox.left + 6 * devicePixelRatio, 12 * devicePixelRatio];
      ctx.globalAlpha = 0.85;
      ctx.fillStyle = surface;
      ctx.fillRect(left - 3, y - high - 6, text.width + 6, high + 4);
      ctx.globalAlpha = 1;
      ctx.fillStyle = ctx.strokeStyle;
      ctx.fillText(mark.label, left, y - 5);
      ctx.restore();
    }
  }

  function drawn() {
    return [times, ...(stack ? stacked(columns).reverse() : columns)];
  }

  function draw() {
    plot?.destroy();
    plot = new window.uPlot(options(), drawn(), canvas);
    tellLast(plot);
  }

  function tabulate() {
    const names = series.map((one) => element("th", { scope: "col", class: "pf-number" }, one.label));
    const head = [element("th", { scope: "col" }, "Time"), ...names];
    const rows = [];
    for (let i = times.length - 1; i >= 0 && rows.length < TABLE_ROWS; i -= 1) {
      if (columns.every((column) => column[i] === null)) continue;
      const cells = columns.map((column) => element("td", { class: "pf-number" }, format(column[i])));
      rows.push(element("tr", {}, element("th", { scope: "row" }, told(times[i])), ...cells));
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

  const size = new ResizeObserver(() => {
    if (plot && !canvas.hidden) plot.setSize({ width: width(), height: HEIGHT_PX });
  });
  const theme = new MutationObserver(() => {
    if (plot && !canvas.hidden) draw();
  });
  size.observe(host);
  theme.observe(document.documentElement, { attributeFilter: ["data-bs-theme"] });

  return {
    update(at_s, rows, step_s = 0, range_s = null) {
      [times, columns] = step_s ? withGaps(at_s, rows, step_s) : [at_s, rows];
      range = range_s;
      if (!table.hidden) tabulate();
      else if (plot) {
        plot.setData(drawn());
        tellLast(plot);
      } else draw();
      const last = columns.map((column, s) => `${series[s].label} ${format(column.at(-1))}`);
      canvas.setAttribute("aria-label", `${title}. Last: ${times.length ? last.join(", ") : "nothing yet"}`);
    },
    close() {
      size.disconnect();
      theme.disconnect();
      plot?.destroy();
      host.replaceChildren();
    },
  };
}
