// What the fleet does now: notices, tiles, queues, and where time goes.

import { bytes, count, duration, figure, percent, usd } from "./format.js";
import { element, reconcile, setText } from "./live.js";

const at = (id) => document.getElementById(id);

/** What needs a hand: each said once, for as long as it is so. */
export function drawNotices(list, data) {
  const notices = [];
  const { budget } = data;
  if (data.queued > 0 && data.crew.alive === 0) {
    const jobs = data.queued === 1 ? "1 job waits" : `${count(data.queued)} jobs wait`;
    notices.push({ key: "nobody", tone: "bad", text: `${jobs} and no worker is alive.`, code: "celery -A pixfleet.workers.app worker" });
  }
  if (budget && budget.rung !== "thrifty") {
    const is = budget.rung === "closed" ? "is spent: it is closed" : "is nearly spent: only what is essential runs";
    const held = budget.held ? `, ${count(budget.held)} jobs are held` : "";
    const text = `The budget of ${budget.owner} for the ${budget.period} ${is}${held}.`;
    notices.push({ key: "budget", tone: budget.rung === "closed" ? "bad" : "warn", text, link: list.dataset.budget });
  }
  reconcile(
    list,
    notices,
    (one) => one.key,
    (one) => {
      const notice = element("li", {}, element("span"));
      if (one.code) notice.append(" Start one: ", element("code", {}, one.code));
      if (one.link) notice.append(" ", element("a", { href: one.link }, "See the budgets"));
      return notice;
    },
    (notice, one) => {
      notice.className = `fp-notice pf-tone-${one.tone}`;
      setText(notice.firstChild, one.text);
    },
  );
}

/** The figures that tell most, each with its neighbour in small. */
export function drawTiles(list, data) {
  const { rates, money, crew } = data;
  const children = data.workers.reduce((sum, one) => sum + (one.state === "gone" ? 0 : (one.children ?? 0)), 0);
  const failed_1h = data.failures_1h.reduce((sum, one) => sum + one.jobs, 0);
  const workers = `${count(crew.alive)} worker${crew.alive === 1 ? "" : "s"}`;
  const tiles = [
    ["images", "Images/s", figure(rates?.images_per_s), `${count(data.totals.images)} in all`],
    [
      ...["pixels", "Megapixels/s", figure(rates?.megapixels_per_s)],
      rates ? `${bytes(rates.bytes_in_per_s)}/s in, ${bytes(rates.bytes_out_per_s)}/s out` : "",
    ],
    ["queued", "Waiting", count(data.queued), data.held ? `and ${count(data.held)} held by budgets` : "none held"],
    ["oldest", "Oldest", data.oldest_s ? duration(data.oldest_s) : "–", "of those that wait"],
    ["running", "In work", count(data.running), children ? `${workers}, ${count(children)} children` : workers],
    ["failed", "Failures/s", figure(rates?.failed_per_s), `${count(failed_1h)} in an hour`],
    ["memo", "From the memo", percent(rates?.memo_share), "of the variants"],
    [
      ...["money", "USD/h", usd(money.usd_per_hour)],
      `machines ${usd(money.machines_usd_per_hour)}, today ${usd(money.today_usd)}`,
    ],
  ];
  reconcile(
    list,
    tiles,
    ([key]) => key,
    ([, label]) => element("div", { class: "pf-tile" }, element("dt", {}, label), element("dd", {}, element("span"), element("small"))),
    (tile, [, , value, beside]) => {
      setText(tile.lastChild.firstChild, value);
      setText(tile.lastChild.lastChild, beside);
    },
  );
}

export function drawQueues(body, queues) {
  reconcile(
    body,
    queues,
    (one) => one.name,
    (one) =>
      element(
        "tr",
        {},
        ...[element("th", { scope: "row" }, one.name), element("td", { class: "pf-number" })],
        element("td", { class: "pf-number" }),
      ),
    (row, one) => {
      setText(row.cells[1], count(one.waiting));
      setText(row.cells[2], one.oldest_s ? duration(one.oldest_s) : "–");
    },
  );
}

/** Percentiles of jobs' phases and of stages; bars are to one scale for each of the two. */
export function drawStages(data) {
  const rows = [
    ...data.phases.map((one) => ({ ...one, group: "job" })),
    ...[...data.stages].sort((one, other) => other.p95_s - one.p95_s).map((one) => ({ ...one, group: "stage" })),
  ];
  const most = { job: 0, stage: 0 };
  for (const one of rows) most[one.group] = Math.max(most[one.group], one.p95_s);
  reconcile(
    at("stages"),
    rows,
    (one) => `${one.group}:${one.name}`,
    (one) => {
      const name = one.group === "job" ? element("b", {}, `job, ${one.name}`) : one.name;
      const bar = element("progress", { class: "pf-bar", max: "1", "aria-hidden": "true", tabindex: "-1" });
      const number = () => element("td", { class: "pf-number" });
      return element(
        "tr",
        {},
        ...[element("th", { scope: "row" }, name), element("td", { class: "pf-number fp-wide" }), number()],
        ...[element("td", { class: "fp-bar" }, bar), number(), number()],
      );
    },
    (row, one) => {
      setText(row.cells[1], count(one.count));
      setText(row.cells[2], duration(one.p50_s));
      row.cells[3].firstChild.value = most[one.group] ? one.p95_s / most[one.group] : 0;
      setText(row.cells[4], duration(one.p95_s));
      setText(row.cells[5], duration(one.p99_s));
    },
  );
  setText(at("stages-over"), data.latencies_over_s > 300 ? "of what ended in the last hour" : "of what ended in the last 5 minutes");
  at("no-stages").hidden = rows.length > 0;
}
