// The past in six charts: how far back and of what is chosen above them.

import { timeChart } from "./chart.js";
import { bytes, count, duration, figure, usd } from "./format.js";
import { element } from "./live.js";

const EVERY_MS = 10_000;
const FIRST_MS = 500;
const MOST_CODES = 6;
const COLOURS = ["red", "amber", "violet", "blue", "teal", "pink"];
const PERCENTILES = [["p50_s", "p50", "green"], ["p95_s", "p95", "amber"], ["p99_s", "p99", "red"]];

const MOST_BARS = 48;
const LEAST_STEPS = 20;

/** Of jobs and workers: between whole numbers an axis says nothing. */
const whole = (value) => (value === null || Number.isInteger(value) ? count(value) : "");
const line = (label, colour, values) => ({ label, colour, values });

const THROUGHPUT = {
  images: {
    name: "images per second",
    format: figure,
    lines: (data) => [line("images", "blue", data.images_per_s), line("failed", "red", data.failed_per_s)],
  },
  pixels: {
    name: "megapixels per second",
    format: figure,
    lines: (data) => [line("MP/s", "blue", data.megapixels_per_s)],
  },
  bytes: {
    name: "bytes per second",
    format: bytes,
    lines: (data) => [line("in", "blue", data.bytes_in_per_s), line("out", "green", data.bytes_out_per_s)],
  },
  memo: {
    name: "part from the memo",
    format: (share) => (share === null ? "–" : `${figure(share * 100)} %`),
    lines: (data) => [line("from the memo", "teal", data.memo_share)],
  },
};

const QUEUE = {
  jobs: {
    name: "jobs",
    format: whole,
    lines: (data) => [
      ...[line("waiting", "blue", data.queued), line("in work", "green", data.running)],
      line("held", "amber", data.held),
    ],
  },
  age: { name: "age of the oldest", format: duration, lines: (data) => [line("oldest", "amber", data.oldest_s)] },
};

const at = (id) => document.getElementById(id);

/** A chart that is built anew only when what it shows is named otherwise. */
class Panel {
  constructor(id, title, look) {
    this.host = at(id);
    this.title = title;
    this.look = look;
    this.key = "";
    this.chart = null;
  }

  draw(data, lines, format) {
    const key = JSON.stringify([lines.map((one) => one.label), format.name]);
    if (key !== this.key || !this.chart) {
      this.key = key;
      this.chart?.close();
      const series = lines.map(({ label, colour }) => ({ label, colour }));
      this.chart = timeChart(this.host, { title: this.title, format, series, ...this.look });
    }
    const rows = lines.map((one) => one.values);
    this.chart.update(data.at_s, rows, data.step_s, [start(data), data.until_s]);
  }
}

/** Of the time axis: a young fleet's few minutes would be a stroke at the end of a span. */
function start({ at_s, from_s, until_s, step_s }) {
  const known_s = at_s.length ? at_s[0] - step_s : from_s;
  return Math.max(from_s, Math.min(known_s, until_s - LEAST_STEPS * step_s));
}

/** Draw them and keep them new. */
export function fleetCharts() {
  const panels = {
    throughput: new Panel("throughput", "Throughput", { kind: "line" }),
    latency: new Panel("latency", "Latency", { kind: "line" }),
    queue: new Panel("queue", "Queue", { kind: "line" }),
    failures: new Panel("failures", "Failures by code", { kind: "bars", stack: true }),
    crew: new Panel("crew", "Workers", { kind: "area", stack: true }),
    money: new Panel("money", "USD per hour", { kind: "line" }),
  };
  const throughputOf = choices("throughput-of", THROUGHPUT);
  const queueOf = choices("queue-of", QUEUE);
  const latencyOf = at("latency-of");
  let data = null;
  let span = "1h";
  let turn = 0;
  let timer = 0;

  function draw() {
    if (!data) return;
    latencyChoices(latencyOf, Object.keys(data.latencies));
    const throughput = THROUGHPUT[throughputOf.value];
    panels.throughput.draw(data, throughput.lines(data), throughput.format);
    const queue = QUEUE[queueOf.value];
    panels.queue.draw(data, queue.lines(data), queue.format);
    const took = data.latencies[latencyOf.value];
    const none = data.at_s.map(() => null);
    panels.latency.draw(data, PERCENTILES.map(([name, label, colour]) => line(label, colour, took?.[name] ?? none)), duration);
    const bars = inBars(data);
    panels.failures.draw(bars, failureLines(bars), whole);
    panels.crew.draw(data, crewLines(data), whole);
    panels.money.draw(
      data,
      [
        line("spent", "blue", data.usd_per_hour.map(numberOf)),
        line("machines", "slate", data.machines_usd_per_hour.map(numberOf)),
      ],
      usd,
    );
  }

  async function ask() {
    clearTimeout(timer);
    turn += 1;
    const mine = turn;
    const answer = await past(span);
    if (mine !== turn) return; // another span was chosen meanwhile
    // Without data it is being read for the first time, or Redis is away.
    const pause = answer && !answer.data && !answer.problem ? FIRST_MS : EVERY_MS;
    timer = setTimeout(ask, document.hidden ? 6 * pause : pause);
    if (answer?.data) {
      data = answer.data;
      draw();
    }
  }

  const buttons = [...at("spans").querySelectorAll("button")];
  for (const button of buttons) {
    button.addEventListener("click", () => {
      for (const one of buttons) one.setAttribute("aria-pressed", String(one === button));
      span = button.value;
      ask();
    });
  }
  for (const select of [throughputOf, queueOf, latencyOf]) select.addEventListener("change", draw);
  ask();
}

/** null where nobody answers: to say so is the business of the page's figures. */
async function past(span) {
  try {
    const got = await fetch(`fleet/history?span=${span}`, { cache: "no-store" });
    return got.ok ? await got.json() : null;
  } catch {
    return null;
  }
}

function choices(id, kinds) {
  const select = at(id);
  select.replaceChildren(...Object.entries(kinds).map(([key, kind]) => element("option", { value: key }, kind.name)));
  return select;
}

/** Jobs' phases first; what is chosen stays chosen. */
function latencyChoices(select, names) {
  const kinds = ["job:total", "job:wait", "job:work", ...names.filter((name) => name.startsWith("stage:"))];
  if (kinds.join() === [...select.options].map((one) => one.value).join()) return;
  const chosen = select.value;
  select.replaceChildren(...kinds.map((name) => element("option", { value: name }, name.replace(":", ", "))));
  select.value = kinds.includes(chosen) ? chosen : kinds[0];
}

function numberOf(text) {
  return text === null ? null : Number(text);
}

/** Failures by longer steps: some fifty bars can be told apart. */
function inBars(data) {
  const { failures, at_s, from_s, until_s } = data;
  const step_s = data.step_s * Math.ceil((until_s - from_s) / data.step_s / MOST_BARS);
  const places = new Map();
  const bar = at_s.map((at) => {
    const began_s = Math.floor(at / step_s) * step_s;
    if (!places.has(began_s)) places.set(began_s, places.size);
    return places.get(began_s);
  });
  const summed = (values) => {
    const sums = Array(places.size).fill(null);
    values.forEach((value, i) => {
      if (value !== null) sums[bar[i]] = (sums[bar[i]] ?? 0) + value;
    });
    return sums;
  };
  const columns = Object.entries(failures).map(([code, values]) => [code, summed(values)]);
  return { ...data, at_s: [...places.keys()], step_s, failures: Object.fromEntries(columns) };
}

/** Columns come with the code that failed most first; rare ones are one. */
function failureLines(data) {
  const columns = Object.entries(data.failures);
  const lines = columns.slice(0, MOST_CODES).map(([code, values], i) => line(code, COLOURS[i], values));
  const rest = columns.slice(MOST_CODES).map(([, values]) => values);
  if (rest.length) {
    const sums = rest[0].map((first, i) => (first === null ? null : rest.reduce((sum, values) => sum + values[i], 0)));
    lines.push(line("others", "slate", sums));
  }
  return lines.length ? lines : [line("none", "slate", data.at_s.map(() => 0))];
}

function crewLines(data) {
  const working = data.workers.map((all, i) => Math.max(0, all - data.at_risk[i] - data.draining[i]));
  return [
    ...[line("working", "green", working), line("at risk", "amber", data.at_risk)],
    line("draining", "slate", data.draining),
  ];
}
