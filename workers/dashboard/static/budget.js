// The Budget page.

import { spendHistory } from "./budget_history.js";
import { drawLog, drawTold, drawTroubles } from "./budget_log.js";
import { drawOrders, drawTime } from "./budget_now.js";
import { drawBill, drawBudgets, drawSavings, drawShares } from "./budget_tables.js";
import { live } from "./live.js";

const at = (id) => document.getElementById(id);
let newest = null;
let when = "month";

function draw(data) {
  newest = data;
  const ofFleet = (period) => data.budgets.find((one) => one.owner === "fleet" && one.period === period);
  drawOrders(at("orders"), at("orders-said"), data.budgets);
  drawTime(at("today"), data.today, ofFleet("day"), "day");
  drawTime(at("month"), data.month, ofFleet("month"), "month");
  drawBudgets(at("budgets"), data.budgets);
  drawCosts();
  drawLog(at("log"), data.log);
  drawTroubles(at("troubles"), data.alerts.troubles);
  drawTold(at("told"), data.alerts.told);
  at("budgets-table").hidden = !data.budgets.length;
  at("no-budgets").hidden = Boolean(data.budgets.length);
  at("nothing").hidden = Number(data.month.bill_usd.total) !== 0;
  at("no-log").hidden = Boolean(data.log.length);
  at("no-told").hidden = Boolean(data.alerts.told.length || data.alerts.troubles.length);
}

function drawCosts() {
  const cost = newest[when];
  drawBill(at("bill"), cost);
  drawSavings(at("savings"), cost);
  for (const [group, shares] of Object.entries(cost.shares)) {
    drawShares(at(`by-${group}`), shares, cost, group !== "stage");
  }
}

/** One of a group of buttons is pressed. */
function choice(id, choose) {
  const buttons = [...at(id).querySelectorAll("button")];
  for (const button of buttons) {
    button.addEventListener("click", () => {
      for (const one of buttons) one.setAttribute("aria-pressed", String(one === button));
      choose(button.value);
    });
  }
}

const history = spendHistory(at("history"), at("history-note"));
choice("spans", (span) => history.choose({ span }));
choice("groups", (by) => history.choose({ by }));
choice("whens", (chosen) => {
  when = chosen;
  if (newest) drawCosts();
});
live("budget/data", draw);
