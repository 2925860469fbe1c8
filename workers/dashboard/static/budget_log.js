// What budgets did, and who was told of it.

import { TONES } from "./budget_meter.js";
import { count, momentUtc } from "./format.js";
import { element, reconcile, setText } from "./live.js";

function makeLine() {
  const head = [element("time"), " ", element("span")];
  return element("li", {}, element("div", { class: "bp-when" }, ...head), element("p"));
}

function drawLine(node, { at_s, badge, tone, text }) {
  const [head, said] = node.children;
  const [at, mark] = head.children;
  at.dateTime = new Date(at_s * 1_000).toISOString();
  setText(at, momentUtc(at_s));
  mark.className = `pf-badge pf-tone-${tone}`;
  setText(mark, badge);
  setText(said, text);
}

/** Changes of rung, passed thresholds and forecasts, the newest first. */
export function drawLog(list, events) {
  reconcile(
    list,
    events,
    (one) => one.id,
    makeLine,
    (node, one) => {
      const changed = one.kind === "rung";
      const badge = changed ? `${one.from} → ${one.to}` : one.kind;
      drawLine(node, { at_s: one.at_s, badge, tone: changed ? TONES[one.to] : "info", text: one.text });
    },
  );
}

/** Channels that fail now. */
export function drawTroubles(list, troubles) {
  reconcile(
    list,
    troubles,
    (one) => one.channel,
    makeLine,
    (node, one) => {
      const text = `${one.problem}; ${count(one.tries)} tries since then, again at ${momentUtc(one.again_at_s)}. ${one.mend}`;
      drawLine(node, { at_s: one.since_s, badge: `${one.channel} fails`, tone: "bad", text });
    },
  );
}

/** What people were told, the newest first. */
export function drawTold(list, told) {
  reconcile(
    list,
    told,
    (one) => `${one.at_s} ${one.channel} ${one.id}`,
    makeLine,
    (node, one) => {
      const well = one.outcome === "delivered";
      const badge = well ? one.channel : `${one.channel}: given up`;
      const text = well ? one.text : `${one.text} ${one.problem}`;
      drawLine(node, { at_s: one.at_s, badge, tone: well ? "good" : "bad", text });
    },
  );
}
