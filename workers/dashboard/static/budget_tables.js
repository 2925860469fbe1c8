// The tables of the Budget page: budgets, the bill, and who caused it.

import { drawMeter, makeMeter } from "./budget_meter.js";
import { budgetKey, drawFacts, drawRung, reachedText } from "./budget_now.js";
import { bytes, count, momentUtc, percent, usd } from "./format.js";
import { element, reconcile, setText } from "./live.js";

const COLUMNS = ["", "period", "used", "spent", "limit", "now", "held jobs", "expected", "limit reached", "ends"];
const LINES = [
  ["jobs", "jobs", "stages of jobs"],
  ["rework", "rework", "attempts that were lost"],
  ["retry", "retries", "attempts put off"],
  ["overhead", "overhead", "workers themselves"],
  ["idle", "idle", "nobody"],
  ["machines", "= machines", "hours × price"],
  ["requests", "requests", "S3, SQS"],
  ["total", "total", ""],
];

// Roles are said because rows of the budgets are no table's rows to the eye on a phone.
function makeRow(classes) {
  const cells = classes.map((name) => element("td", { role: "cell", class: name }));
  const head = element("th", { scope: "row", role: "rowheader", class: "pf-name" });
  return element("tr", { role: "row" }, head, ...cells);
}

/** Every budget as it stands. */
export function drawBudgets(body, budgets) {
  reconcile(body, budgets, budgetKey, makeBudget, drawBudget);
}

function makeBudget() {
  const row = makeRow(["", "bp-used", "pf-number", "pf-number", "", "pf-number", "pf-number", "", ""]);
  row.cells[2].append(makeMeter(), element("span", { class: "pf-muted" }));
  row.cells[5].append(element("span", { class: "pf-badge" }), element("span", { class: "bp-beside pf-muted" }));
  row.cells[7].append(element("span"), element("span", { class: "bp-beside pf-muted" }));
  for (const [place, name] of COLUMNS.entries()) row.cells[place].dataset.name = name;
  return row;
}

function drawBudget(row, one) {
  const [owner, period, used, spent, limit, now, held, expected, reached, ends] = row.cells;
  setText(owner, one.owner);
  setText(period, one.period);
  drawMeter(used.firstElementChild, one, `${one.owner}, ${one.period}`);
  setText(used.lastElementChild, percent(one.share));
  setText(spent, usd(one.spent_usd));
  setText(limit, usd(one.limit_usd));
  drawRung(now.firstElementChild, one);
  setText(now.lastElementChild, `since ${momentUtc(one.since_s)}`);
  setText(held, count(one.held));
  const ahead = one.forecast;
  setText(expected.firstElementChild, usd(ahead?.expected_usd));
  setText(expected.lastElementChild, ahead ? `${usd(ahead.low_usd)} to ${usd(ahead.high_usd)}` : "");
  setText(reached, reachedText(one));
  setText(ends, momentUtc(one.ends_at_s));
}

/** The bill of a day or month, line by line. */
export function drawBill(body, cost) {
  const total = Number(cost.bill_usd.total);
  reconcile(
    body,
    LINES,
    ([line]) => line,
    ([line, name, meaning]) => {
      const row = makeRow(["pf-number", "pf-number"]);
      row.className = `bp-line-${line}`;
      row.cells[0].append(name, " ", element("small", { class: "pf-muted" }, meaning));
      return row;
    },
    (row, [line]) => {
      setText(row.cells[1], usd(cost.bill_usd[line]));
      setText(row.cells[2], percent(total ? Number(cost.bill_usd[line]) / total : null));
    },
  );
}

/** What the memo and coding by content have spared. */
export function drawSavings(list, { memo, adaptive }) {
  drawFacts(list, [
    ["spared by the memo", `${usd(memo.saved_usd)}, ${count(memo.hits)} hits`],
    ["spared by two floors", `${usd(adaptive.saved_usd)}, ${bytes(adaptive.bytes)}`],
  ]);
}

/** Who caused it, the dearest first, the others in one; of stages no images are known. */
export function drawShares(body, shares, cost, counted) {
  const items = [...shares.first];
  if (shares.others) items.push({ name: `${count(shares.others)} others`, usd: shares.others_usd, rest: true });
  const unused = Number(cost.bill_usd.overhead) + Number(cost.bill_usd.idle);
  if (unused) items.push({ name: "overhead and idle", usd: unused.toFixed(9), rest: true });
  const most = Math.max(...items.map((one) => Number(one.usd)), 1e-9);
  reconcile(
    body,
    items,
    (one) => `${one.rest ? "rest" : "one"} ${one.name}`,
    (one) => {
      const row = makeRow(["pf-number", "bp-part", ...(counted ? ["pf-number", "pf-number"] : [])]);
      if (one.rest) row.className = "bp-rest";
      row.cells[2].append(element("progress", { class: "pf-bar", max: "1", "aria-hidden": "true", tabindex: "-1" }));
      return row;
    },
    (row, one) => {
      const [name, spent, part, images, each] = row.cells;
      setText(name, one.name);
      setText(spent, usd(one.usd));
      part.firstElementChild.value = Math.max(0, Number(one.usd)) / most;
      if (!counted) return;
      setText(images, one.rest ? "" : count(one.images));
      setText(each, one.rest ? "" : usd(one.usd_per_1000_images));
    },
  );
}
