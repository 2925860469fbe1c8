// Jobs that failed, with the button that tries them again, and those that take long.

import { showJob } from "./fleet_job.js";
import { ago, count, duration } from "./format.js";
import { confirmed, element, reconcile, send, setText } from "./live.js";

const WRITABLE = document.getElementById("pf-page").dataset.writable === "yes";
const KEPT_MS = 60_000;
const OVER = new Set(["done", "failed", "quarantined", "cancelled"]);

const at = (id) => document.getElementById(id);

/** Jobs that were asked to run again, by id: what they were, what came of it, until when it is shown. */
const tried = new Map();
let listed = [];

/** The newest failures; a job that was tried again stays a while, with what became of it. */
export function drawFailed(data) {
  const now = performance.now();
  for (const job of data.failed) {
    const attempt = tried.get(job.id);
    if (attempt && job.ended_at_s > attempt.job.ended_at_s) {
      if (attempt.said) tell(job, "it failed again");
      tried.delete(job.id);
    }
  }
  for (const [id, attempt] of tried) if (now > attempt.until) tried.delete(id);
  const still = new Set(data.failed.map((job) => job.id));
  const kept = [...tried.values()].filter(({ job }) => !still.has(job.id)).map(({ job }) => job);
  listed = [...data.failed, ...kept].sort((one, other) => other.ended_at_s - one.ended_at_s);

  const list = at("failed");
  const had = list.contains(document.activeElement);
  reconcile(list, listed, (job) => job.id, makeFailed, (item, job) => fillFailed(item, job, data.at_s));
  // Who stood on a job that is no longer listed stands before the list, not at the page's top.
  if (had && !list.contains(document.activeElement)) at("failed-title").focus();
  at("no-failed").hidden = listed.length > 0;
  at("retry-all").hidden = !WRITABLE || !listed.some((job) => !tried.has(job.id));
  const codes = data.failures_1h.map(({ code, jobs }) => `${code} ${count(jobs)}`).join(" · ");
  setText(at("codes"), codes && `In the last hour: ${codes}`);
  for (const [id, attempt] of tried) if (attempt.queued && !attempt.over) follow(id, attempt);
}

function makeFailed(job) {
  const retryButton = { type: "button", class: "btn btn-sm btn-outline-secondary fp-small", click: (event) => pressed(event, job.id) };
  return element(
    "li",
    {},
    element(
      "div",
      { class: "fp-failed-head" },
      element("span", { class: "pf-badge pf-tone-bad" }),
      element("button", { type: "button", class: "fp-link pf-name", click: () => showJob(job.id) }, job.source),
      element("span", { class: "fp-outcome pf-badge", hidden: true }),
      element("button", { ...retryButton, "aria-label": `Retry ${job.source}`, hidden: !WRITABLE }, "Retry"),
    ),
    element("p"),
    element("p", { class: "fp-hint" }),
    element("p", { class: "pf-muted fp-note" }),
  );
}

function fillFailed(item, job, now_s) {
  const [head, reason, hint, facts] = item.children;
  const [code, , outcome, button] = head.children;
  setText(code, job.code || job.state);
  setText(reason, job.more ? `${job.reason} (and ${count(job.more)} more)` : job.reason);
  setText(hint, job.hint);
  hint.hidden = !job.hint;
  const where = [job.recipe, job.tenant, job.worker].filter(Boolean).join(" · ");
  setText(facts, `${ago(job.ended_at_s, now_s)} · ${where} · ${job.id}`);
  showOutcome(outcome, button, tried.get(job.id));
}

function showOutcome(outcome, button, attempt) {
  outcome.hidden = !attempt?.said;
  if (attempt?.said) {
    setText(outcome, attempt.said);
    outcome.className = `fp-outcome pf-badge pf-tone-${attempt.tone}`;
  }
  // Not disabled: a button that is loses the keyboard's place.
  button.setAttribute("aria-disabled", String(Boolean(attempt && !attempt.refused)));
}

function redraw(id) {
  const item = [...at("failed").children].find((one) => one.dataset.key === id);
  if (!item) return;
  const [, , outcome, button] = item.firstChild.children;
  showOutcome(outcome, button, tried.get(id));
}

function tell(job, what) {
  setText(at("said"), `${job.source}: ${what}`);
}

async function pressed(event, id) {
  if (event.currentTarget.getAttribute("aria-disabled") === "true") return;
  const job = listed.find((one) => one.id === id);
  if (job) await retry(job);
}

/** Queue it again; whether it was. */
async function retry(job) {
  const attempt = { job, said: "asking", tone: "calm", queued: false, refused: false, over: false, until: Infinity };
  tried.set(job.id, attempt);
  redraw(job.id);
  try {
    await send("fleet/retry", { job: job.id });
    Object.assign(attempt, { said: "queued again", tone: "info", queued: true });
  } catch (refused) {
    Object.assign(attempt, { said: refused.message, tone: "warn", refused: true });
  }
  attempt.until = performance.now() + KEPT_MS;
  tell(job, attempt.said);
  redraw(job.id);
  return attempt.queued;
}

/** What has become of a job that was queued again. */
async function follow(id, attempt) {
  try {
    const got = await fetch(`fleet/job?${new URLSearchParams({ id })}`, { cache: "no-store" });
    if (!got.ok || tried.get(id) !== attempt) return;
    const { job } = await got.json();
    if (job.state === "queued" || job.state === "waiting") return;
    attempt.over = OVER.has(job.state);
    const said = job.state === "running" ? "in work again" : `${job.state} now`;
    if (said === attempt.said) return;
    Object.assign(attempt, { said, tone: job.state === "done" ? "good" : "info", until: performance.now() + KEPT_MS });
    tell(attempt.job, said);
    redraw(id);
  } catch {
    // The page's figures say when the dashboard does not answer.
  }
}

/** Every job that is listed and was not tried yet, one after the other. */
export async function retryAll(feed) {
  const jobs = listed.filter((job) => !tried.has(job.id) || tried.get(job.id).refused);
  const question = jobs.length === 1 ? "Retry the listed job?" : `Retry the ${jobs.length} listed jobs?`;
  if (!(await confirmed(question, "Each is queued again, with all its attempts, and charged again.", "Retry"))) return;
  let queued = 0;
  for (const job of jobs) queued += await retry(job);
  const left = jobs.length - queued;
  setText(at("said"), left ? `${queued} queued again, ${left} could not be` : `${queued} queued again`);
  feed.now();
}

/** Jobs that take long or took long, in a table. */
export function drawJobs(id, jobs) {
  reconcile(at(id), jobs, (job) => job.id, makeSlow, fillSlow);
  at(`no-${id}`).hidden = jobs.length > 0;
}

function makeSlow(job) {
  const button = { type: "button", class: "fp-link pf-name", click: () => showJob(job.id) };
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, element("button", button, job.source), element("small", { class: "pf-muted" })),
    element("td", { class: "pf-number" }),
  );
}

function fillSlow(row, job) {
  const state = job.state === "done" || job.state === "running" ? "" : job.state;
  setText(row.cells[0].lastChild, [job.recipe, job.tenant, job.worker, state].filter(Boolean).join(" · "));
  setText(row.cells[1], duration(job.took_s));
}
