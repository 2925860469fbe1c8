// A bar of what is spent of a limit, with where it is expected to end.

import { usd } from "./format.js";
import { element } from "./live.js";

export const TONES = { normal: "good", thrifty: "info", essential: "warn", closed: "bad" };

/** An empty bar for drawMeter. */
export function makeMeter() {
  const marks = ["range", "fill", "expected", "limit"].map((name) => element("span", { class: `bp-meter-${name}` }));
  return element("div", { class: "bp-meter", role: "meter", "aria-valuemin": "0" }, ...marks);
}

/** Draw a budget: what is spent, the limit, and the forecast's interval. */
export function drawMeter(node, budget, label) {
  const [limit, spent] = [Number(budget.limit_usd), Number(budget.spent_usd)];
  const ahead = budget.forecast;
  const [expected, low, high] = ahead
    ? [ahead.expected_usd, ahead.low_usd, ahead.high_usd].map(Number)
    : [spent, spent, spent];
  // What is far beyond the limit would leave nothing to see of the rest.
  const end = Math.min(Math.max(limit, spent, high) * 1.02, 2 * limit);
  const places = { spent, expected, low, high: Math.max(high, low), limit };
  node.className = `bp-meter pf-tone-${TONES[budget.rung]}${ahead ? " bp-meter-ahead" : ""}`;
  for (const [name, value] of Object.entries(places)) {
    node.style.setProperty(`--bp-${name}`, `${(100 * Math.min(1, value / end)).toFixed(2)}%`);
  }
  const said = {
    "aria-label": label,
    "aria-valuemax": budget.limit_usd,
    "aria-valuenow": String(Math.min(spent, limit)),
    "aria-valuetext": `${usd(budget.spent_usd)} of ${usd(budget.limit_usd)}`,
  };
  for (const [name, text] of Object.entries(said)) node.setAttribute(name, text);
}
