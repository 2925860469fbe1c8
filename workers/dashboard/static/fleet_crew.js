// The workers: what each is, how it is, and the button that sends it away.

import { ago, count, duration, usd } from "./format.js";
import { confirmed, element, notify, reconcile, send, setText } from "./live.js";

const WRITABLE = document.getElementById("pf-page").dataset.writable === "yes";
const TONES = { working: "good", "at risk": "warn", draining: "info", gone: "bad" };
const DRAIN_DETAIL = "It takes no more work, ends what fits into two minutes, gives back the rest, and goes.";

const at = (id) => document.getElementById(id);

export function drawWorkers(data) {
  reconcile(at("workers"), data.workers, (one) => one.name, makeRow, fillRow);
  at("workers-table").hidden = !data.workers.length;
  at("no-workers").hidden = data.workers.length > 0;
  at("workers-more").hidden = !data.workers_more;
  setText(at("workers-more"), `and ${count(data.workers_more)} more that need no attention`);
  setText(at("machines"), data.machines.map(kindText).join(" · "));
}

function kindText(kind) {
  const cost = Number(kind.hour_usd) ? `, ${usd(kind.hour_usd)}/h` : "";
  return `${count(kind.workers)} × ${kind.name}${cost}`;
}

function makeRow() {
  const number = (name) => element("td", { class: `pf-number ${name}` });
  const button = { type: "button", class: "btn btn-sm btn-outline-secondary fp-small", click: drain };
  return element(
    "tr",
    {},
    element("th", { scope: "row", class: "pf-name" }),
    element("td", {}, element("span"), element("small", { class: "pf-muted fp-why" })),
    element("td", { class: "fp-wide" }),
    ...[number(""), number("fp-wide"), number("fp-wide")],
    element("td", { class: "pf-number" }, element("button", button, "Drain")),
  );
}

function fillRow(row, worker) {
  const [name, state, machine, work, heard, cost, action] = row.cells;
  setText(name, worker.name);
  setText(state.firstChild, worker.state);
  state.firstChild.className = `pf-badge pf-tone-${TONES[worker.state] ?? "calm"}`;
  setText(state.lastChild, whyText(worker));
  setText(machine, worker.machine || "–");
  const known = worker.active !== null && worker.state !== "gone";
  setText(work, known ? `${count(worker.active)} of ${count(worker.children)}` : "–");
  setText(heard, worker.silent_s < 5 ? "now" : ago(0, worker.silent_s));
  setText(cost, usd(worker.hour_usd));
  action.firstChild.hidden = !WRITABLE || worker.state === "draining" || worker.state === "gone";
  if (action.firstChild.dataset.of !== worker.name) {
    action.firstChild.dataset.of = worker.name;
    action.firstChild.setAttribute("aria-label", `Drain ${worker.name}`);
  }
}

function whyText(worker) {
  const said = [];
  if (worker.state === "gone") said.push(`last heard ${ago(0, worker.silent_s)}`);
  if (worker.why && worker.state !== "working") said.push(worker.why);
  if (worker.ends_within_s !== null && worker.state === "draining") {
    said.push(`${duration(Math.round(worker.ends_within_s))} left`);
  }
  return said.join(", ");
}

async function drain(event) {
  const worker = event.currentTarget.closest("tr").dataset.key;
  if (!(await confirmed(`Drain ${worker}?`, DRAIN_DETAIL, "Drain"))) return;
  try {
    const told = await send("fleet/drain", { worker });
    if (told.length) notify(`${worker} was told to go.`);
    else notify(`${worker} is gone already.`, "bad");
  } catch (refused) {
    notify(refused.message, "bad");
  }
}
