// One job's life, in a dialog over the page.

import { makeCommand, setCommand } from "./command.js";
import { bytes, duration, figure, moment, usd } from "./format.js";
import { element } from "./live.js";

const TONES = { done: "good", failed: "bad", quarantined: "bad", cancelled: "calm" };

/** Open it at once and fill it when its figures are there. */
export async function showJob(id) {
  const body = element("div", { class: "fp-job" }, element("p", { class: "pf-muted" }, "Reading"));
  const close = element("button", { type: "button", class: "btn btn-outline-secondary" }, "Close");
  const dialog = element(
    "dialog",
    { class: "pf-dialog fp-job-dialog", "aria-label": `Job ${id}` },
    ...[body, element("div", { class: "pf-dialog-actions" }, close)],
  );
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  close.focus();
  try {
    const got = await fetch(`fleet/job?${new URLSearchParams({ id })}`, { cache: "no-store" });
    const said = await got.json();
    body.replaceChildren(...(got.ok ? contents(said.job) : [element("p", {}, said.error.message)]));
  } catch {
    body.replaceChildren(element("p", {}, "The dashboard does not answer."));
  }
}

function contents(job) {
  const copy = makeCommand();
  setCommand(copy, job.id);
  const shown = [
    element(
      "h2",
      { class: "h5 pf-name" },
      ...[job.source, " ", element("span", { class: `pf-badge pf-tone-${TONES[job.state] ?? "info"}` }, job.state)],
    ),
    copy,
    facts(job),
  ];
  for (const failure of job.failures ?? []) shown.push(failureText(failure));
  if (job.attempts.length) shown.push(element("h3", {}, "Attempts"), attempts(job.attempts));
  if (job.stages?.length) shown.push(element("h3", {}, "Stages of the last attempt"), stages(job.stages));
  return shown;
}

function facts(job) {
  const pairs = [
    ["recipe", job.recipe],
    ["tenant", job.tenant],
    ["queue", job.queue],
    ["batch", job.batch],
    ["submitted", moment(job.submitted_at_s)],
    ["ended", job.ended_at_s && moment(job.ended_at_s)],
    ["held by", job.held_by],
    ["why", job.ended_at_s ? "" : job.why],
    ["size", job.megapixels && `${figure(job.megapixels)} MP, ${bytes(job.bytes_in)}`],
    ["variants", job.variants && `${job.variants}, ${bytes(job.bytes_out)}`],
    ["cost", job.cost_usd && usd(job.cost_usd)],
  ];
  const list = element("dl", { class: "fp-facts" });
  for (const [name, value] of pairs) {
    if (value) list.append(element("div", {}, element("dt", {}, name), element("dd", { class: "pf-name" }, value)));
  }
  return list;
}

function failureText(failure) {
  const of = failure.variant ? ` (${failure.variant})` : "";
  return element(
    "p",
    { class: "pf-name" },
    ...[element("span", { class: "pf-badge pf-tone-bad" }, failure.code), ` ${failure.message}${of}; ${failure.hint}`],
  );
}

function table(heads, rows) {
  const cells = (row) => row.map((cell, place) => element("td", { class: place ? "pf-number" : "pf-name" }, cell));
  return element(
    "div",
    { class: "table-responsive" },
    element(
      "table",
      { class: "table pf-table" },
      element(
        "thead",
        {},
        element("tr", {}, ...heads.map((head, place) => element("th", { scope: "col", class: place ? "pf-number" : "" }, head))),
      ),
      element("tbody", {}, ...rows.map((row) => element("tr", {}, ...cells(row)))),
    ),
  );
}

function attempts(all) {
  const rows = all.map((one) => [
    [one.how, one.why].filter(Boolean).join(": ") + ` on ${one.worker}`,
    ...[moment(one.began_at_s), duration(one.took_s)],
  ]);
  return table(["How it ended", "Began", "Took"], rows);
}

function stages(all) {
  const name = (one) => (one.times > 1 ? `${one.stage} × ${one.times}` : one.stage);
  const rows = all.map((one) => [name(one), duration(one.wall_s), duration(one.cpu_s), usd(one.cost_usd)]);
  return table(["Stage", "Took", "CPU", "Cost"], rows);
}
