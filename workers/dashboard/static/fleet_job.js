// One job's life, in a dialog over the page.

import { makeCommand, setCommand } from "./command.js";
import { bytes, duration, figure, moment, usd } from "./format.js";
import { element } from "./live.js";

const TONES = { done: "good", failed: "bad", quarantined: "bad", cancelled: "calm" };
const SLIGHTEST_S = 0.001;

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
  if (job.timeline.length) shown.push(element("h3", {}, "Its way"), timeline(job.timeline));
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

/** Waits, attempts and stages, each drawn where it lies in the job's time; stages in their attempt's. */
function timeline(rows) {
  const all = extent(rows);
  const inner = extent(rows.filter((row) => row.kind === "stage"));
  const heads = ["What", "", "Took", "CPU", "Size"].map((head, place) =>
    element("th", { scope: "col", class: place > 1 ? "pf-number" : "" }, head || element("span", { class: "visually-hidden" }, "When")),
  );
  const shown = rows.filter((row) => row.kind !== "stage" || row.took_s >= SLIGHTEST_S);
  const body = element("tbody", {}, ...shown.map((row) => timelineRow(row, row.kind === "stage" ? inner : all)));
  const drawn = element("table", { class: "table pf-table fp-timeline" }, element("thead", {}, element("tr", {}, ...heads)), body);
  return element("div", { class: "table-responsive" }, drawn);
}

function extent(rows) {
  return [Math.min(...rows.map((row) => row.began_at_s)), Math.max(...rows.map((row) => row.began_at_s + row.took_s))];
}

function timelineRow(row, [from, until]) {
  const bar = element("span", { class: `fp-span fp-span-${row.kind}` });
  const whole = Math.max(until - from, 1e-9);
  // By script, since the page's policy forbids style attributes.
  bar.style.setProperty("--fp-from", `${((row.began_at_s - from) / whole) * 100}%`);
  bar.style.setProperty("--fp-long", `${(row.took_s / whole) * 100}%`);
  const name = element("th", { scope: "row", class: "pf-name" }, row.kind === "stage" ? `${row.name} ${row.detail}`.trim() : row.name);
  name.style.setProperty("--fp-depth", row.kind === "stage" ? row.depth + 1 : 0);
  if (row.kind === "attempt") {
    name.append(element("small", { class: "pf-muted" }, [row.detail, row.worker && `on ${row.worker}`].filter(Boolean).join(", ")));
  }
  const number = (text) => element("td", { class: "pf-number" }, text);
  return element(
    "tr",
    { class: `fp-${row.kind}` },
    ...[name, element("td", { class: "fp-place" }, bar), number(duration(row.took_s))],
    ...[number(row.cpu_s === null ? "" : duration(row.cpu_s)), number(row.bytes === null ? "" : bytes(row.bytes))],
  );
}
