// The top of the Budget page: what is held back, and today and this month against their limits.

import { drawMeter, makeMeter, TONES } from "./budget_meter.js";
import { makeCommand, setCommand } from "./command.js";
import { count, momentUtc, percent, usd } from "./format.js";
import { element, reconcile, setText } from "./live.js";

const HOLDS = new Set(["essential", "closed"]);

/** The name of a budget, which no other has. */
export function budgetKey(budget) {
  return `${budget.owner}|${budget.period}`;
}

function ownerText(owner) {
  return owner === "fleet" ? "The fleet" : `${owner[0].toUpperCase()}${owner.slice(1).replace(":", " ")}`;
}

function heldText(one) {
  return `${ownerText(one.owner)} is ${one.rung} this ${one.period}.`;
}

/**
 * A banner for each budget that holds work back, and the command that lifts it. Read out is that it does,
 * once; its figures change every two seconds.
 */
export function drawOrders(place, said, budgets) {
  const held = budgets.filter((one) => HOLDS.has(one.rung));
  reconcile(place, held, budgetKey, makeOrder, drawOrder);
  setText(said, held.map(heldText).join(" "));
}

function makeOrder() {
  const said = element("p", {}, element("strong"), " ", element("span"));
  return element("div", {}, said, element("p", { class: "bp-lift" }, "To lift it: ", makeCommand()));
}

function drawOrder(node, one) {
  node.className = `bp-order pf-tone-${TONES[one.rung]}`;
  const [title, text] = node.firstElementChild.children;
  setText(title, heldText(one));
  const waits = one.held ? `, ${count(one.held)} ${one.held === 1 ? "job is" : "jobs are"} held` : "";
  setText(
    text,
    `${usd(one.spent_usd)} of ${usd(one.limit_usd)} are spent; since ${momentUtc(one.since_s)} ${one.lets}${waits}. ` +
      `The ${one.period} ends at ${momentUtc(one.ends_at_s)} UTC.`,
  );
  setCommand(node.querySelector(".pf-command"), one.lift);
}

/** Today or this month: its sum, its budget if there is one, and what an image costs. */
export function drawTime(card, cost, budget, period) {
  if (!card.querySelector(".bp-total")) card.append(...makeTime());
  const part = (name) => card.querySelector(`.bp-${name}`);
  setText(part("total"), usd(cost.bill_usd.total));
  for (const name of ["rung", "meter", "ahead"]) part(name).hidden = !budget;
  part("hint").hidden = Boolean(budget);
  if (budget) drawLimit(part, budget);
  else {
    setText(part("limit"), `The fleet has no budget for the ${period}.`);
    setCommand(part("hint").querySelector(".pf-command"), `pixfleet budget set fleet --limit 25 --period ${period}`);
  }
  drawFacts(part("facts"), [
    ["1,000 images", usd(cost.usd_per_1000_images)],
    ["a gigapixel", usd(cost.usd_per_gigapixel)],
    ["machines at work", percent(Number(cost.bill_usd.machines) ? cost.utilisation : null)],
    ["images", `${count(cost.images)}${cost.failed ? `, ${count(cost.failed)} failed` : ""}`],
  ]);
}

function makeTime() {
  const sum = [element("span", { class: "bp-total" }), element("span", { class: "bp-rung pf-badge" })];
  return [
    element("p", { class: "bp-sum" }, ...sum),
    makeMeter(),
    element("p", { class: "bp-limit" }),
    element("p", { class: "bp-ahead pf-muted" }),
    element("p", { class: "bp-hint pf-muted" }, "Set one: ", makeCommand()),
    element("dl", { class: "bp-facts" }),
  ];
}

function drawLimit(part, budget) {
  drawRung(part("rung"), budget);
  drawMeter(part("meter"), budget, `spent of the ${budget.period}'s limit`);
  setText(
    part("limit"),
    `${usd(budget.spent_usd)} of ${usd(budget.limit_usd)}, ${percent(budget.share)}; ` +
      `${budget.rung} since ${momentUtc(budget.since_s)}`,
  );
  const ahead = budget.forecast;
  const between = ahead && `${usd(ahead.low_usd)} to ${usd(ahead.high_usd)} in 9 cases of 10`;
  setText(
    part("ahead"),
    ahead
      ? `expected at the ${budget.period}'s end: ${usd(ahead.expected_usd)}, ${between}; limit reached: ${reachedText(budget)}`
      : "no forecast before half an hour of history",
  );
}

/** When the limit is reached, in words. */
export function reachedText(budget) {
  if (budget.share >= 1) return "passed";
  if (!budget.forecast) return "not known";
  const at_s = budget.forecast.reaches_limit_at_s;
  return at_s ? `about ${momentUtc(at_s)}` : "not expected";
}

/** The badge of a rung. */
export function drawRung(node, budget) {
  node.className = node.className.replace(/ ?pf-tone-\w+/, "");
  node.classList.add(`pf-tone-${TONES[budget.rung]}`);
  setText(node, budget.rung);
}

/** Names and figures. */
export function drawFacts(list, facts) {
  reconcile(
    list,
    facts,
    ([name]) => name,
    ([name]) => element("div", {}, element("dt", {}, name), element("dd")),
    (node, [, figure]) => setText(node.lastElementChild, figure),
  );
}
