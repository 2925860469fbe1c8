// Spend over time: its span and what it is stacked by are chosen by buttons.

import { timeChart } from "./chart.js";
import { momentUtc, usd } from "./format.js";
import { setText } from "./live.js";

const COLOURS = ["blue", "teal", "amber", "violet", "pink", "green", "red"];
const REST = { "(others)": "slate", "(overhead and idle)": "muted" };
const TOLD = { hour: "2026-11-25 08:00".length, day: "2026-11-25".length, month: "2026-11".length };
const EVERY_MS = 10_000;

/** Draw into `host` what was chosen, and keep it new. */
export function spendHistory(host, note) {
  const chosen = { span: "1d", by: "stage" };
  let chart = null;
  let shown = "";
  let timer = 0;
  let turn = 0;

  async function ask() {
    clearTimeout(timer);
    turn += 1;
    const mine = turn;
    let pause = EVERY_MS;
    try {
      const got = await fetch(`budget/history?${new URLSearchParams(chosen)}`, { cache: "no-store" });
      const { data } = await got.json();
      if (mine !== turn) return; // something else was chosen meanwhile
      if (data) draw(data);
      else pause = 500; // it is being read for the first time
    } catch {
      // What the page says of the state of things is the business of its figures.
    }
    if (mine === turn) timer = setTimeout(ask, document.hidden ? 6 * pause : pause);
  }

  function draw(data) {
    const names = data.series.map((one) => one.name);
    const key = JSON.stringify([data.span, data.group, names, data.limit]);
    if (key !== shown) {
      shown = key;
      chart?.close();
      chart = timeChart(host, {
        title: `Spend by ${data.step}, stacked by ${data.group}`,
        format: usd,
        kind: "bars",
        stack: true,
        utc: true,
        told: (at_s) => momentUtc(at_s).slice(0, TOLD[data.step]),
        series: names.map((name, place) => ({ label: name, colour: REST[name] ?? COLOURS[place % COLOURS.length] })),
        marks: marks(data),
      });
    }
    const at_s = data.at_s;
    const step_s = at_s.length > 1 ? at_s.at(-1) - at_s.at(-2) : 3_600;
    chart.update(at_s, data.series.map((one) => one.usd.map(Number)), 0, [at_s[0], at_s.at(-1) + step_s]);
    setText(note, noteOf(data));
  }

  function marks({ limit }) {
    return limit ? [{ value: limit.usd, label: `limit ${usd(limit.usd)}`, colour: "red" }] : [];
  }

  function noteOf({ step, limit, series }) {
    if (!series.length) return "Nothing was spent in this span.";
    const said = `Each bar is one ${step} (UTC).`;
    if (!limit) return said;
    const spread = limit.period === step ? "" : `, spread evenly: ${usd(limit.usd)} in each ${step}`;
    return `${said} The line is the fleet's limit of ${usd(limit.limit_usd)} a ${limit.period}${spread}.`;
  }

  ask();
  return {
    choose(what) {
      Object.assign(chosen, what);
      ask();
    },
  };
}
