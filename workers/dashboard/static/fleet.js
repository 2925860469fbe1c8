// The Fleet page.

import { count, usd } from "./format.js";
import { confirmed, element, live, notify, reconcile, send, setText } from "./live.js";

const WRITABLE = document.getElementById("pf-page").dataset.writable === "yes";
const DRAIN = { type: "button", class: "btn btn-sm btn-outline-secondary", click: drain };
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
    element("td", { class: "pf-number" }, element("button", DRAIN, "Drain")),
  );
}

async function drain(event) {
  const worker = event.target.closest("tr").dataset.key;
  const detail = "It takes no more work, ends what fits into two minutes, gives back the rest, and goes.";
  if (!(await confirmed(`Drain ${worker}?`, detail, "Drain"))) return;
  try {
    await send("fleet/drain", { worker });
    notify(`${worker} was told to go.`);
  } catch (refused) {
    notify(refused.message, "bad");
  }
}

function fill(shown, worker) {
  const [name, state, machine, steps, action] = shown.children;
  setText(name, worker.name);
  setText(state.firstChild, worker.state);
  state.firstChild.className = `pf-badge pf-tone-${TONES[worker.state]}`;
  setText(machine, worker.machine);
  action.firstChild.hidden = !WRITABLE || worker.state === "draining" || worker.state === "gone";
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
