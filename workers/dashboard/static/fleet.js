// The Fleet page.

import { count, usd } from "./format.js";
import { element, live, reconcile, setText } from "./live.js";

const TONES = { working: "good", "at risk": "warn", draining: "calm", gone: "bad" };

function tiles(data) {
  const queued = Object.values(data.queued).reduce((sum, jobs) => sum + jobs, 0);
  return [
    ["Queued", count(queued)],
    ["Held", count(data.held)],
    ["Running", count(data.running)],
    ["Workers", count(data.workers.length)],
    ["Cost of an hour", usd(data.hour_usd)],
  ];
}

function row() {
  return element(
    "tr",
    {},
    element("th", { scope: "row", class: "pf-name" }),
    element("td", {}, element("span")),
    element("td"),
    element("td", { class: "pf-number" }),
  );
}

function fill(shown, worker) {
  const [name, state, machine, steps] = shown.children;
  setText(name, worker.name);
  setText(state.firstChild, worker.state);
  state.firstChild.className = `pf-badge pf-tone-${TONES[worker.state]}`;
  setText(machine, worker.machine);
  setText(steps, `${count(worker.active)} of ${count(worker.children)}`);
}

live("fleet/data", (data) => {
  reconcile(
    document.getElementById("fleet-tiles"),
    tiles(data),
    ([label]) => label,
    ([label]) => element("div", { class: "pf-tile" }, element("dt", {}, label), element("dd")),
    (shown, [, value]) => setText(shown.lastChild, value),
  );
  reconcile(document.getElementById("workers"), data.workers, (worker) => worker.name, row, fill);
  document.getElementById("no-workers").hidden = data.workers.length > 0;
});
