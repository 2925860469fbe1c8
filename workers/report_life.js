// What the files will cost over their life, and the formats and efforts that were considered.

const LIFE = ["months", "views", "compute", "requests", "storage", "egress", "total", "candidates"];
const CANDIDATE = ["format", "effort", "quality", "bytes", "score", "cpu_s", "usd", "verdict", "reason"];

function candidateRows(variant, life) {
  const about = (candidate, shown) => `${candidate.score === null ? "≈ " : ""}${shown}`;
  return life.candidates.map((values) => named(CANDIDATE, values)).map((candidate, place) => el("tr", { class: candidate.verdict === "chosen" ? "chosen" : "" },
    el("th", { scope: "row" }, place === 0 ? variant.name : ""),
    el("td", {}, el("span", { class: "format" }, el("i", { class: formatClass(candidate.format) }), `${formatName(candidate.format)} ${candidate.effort}`)),
    el("td", { class: "number" }, candidate.bytes === null ? "–" : about(candidate, bytes(candidate.bytes))),
    el("td", { class: "number" }, candidate.score === null ? "–" : fixed(candidate.score, 1)),
    el("td", { class: "number" }, `${candidate.verdict === "not tried" ? "≈ " : ""}${seconds(candidate.cpu_s)}`),
    el("td", { class: "number" }, candidate.usd === null ? "–" : about(candidate, usd(candidate.usd))),
    el("td", {}, el("b", {}, candidate.verdict), candidate.reason ? `: ${candidate.reason}` : "")));
}

function lifetimes(card) {
  const lives = card.variants.map((variant, place) => [variant, card.lives[place] && named(LIFE, card.lives[place])]).filter(([, life]) => life);
  if (!lives.length) return null;
  const total = (cause) => lives.reduce((sum, [, life]) => sum + Number(life[cause]), 0);
  const causes = [["making", "compute"], ["storing", "requests"], ["keeping", "storage"], ["sending", "egress"]]
    .map(([name, cause]) => `${name} ${usd(total(cause))}`).join(", ");
  const heads = ["Variant", "Candidate", "Bytes", "Score", "CPU", "Lifetime", "Verdict"];
  return el("details", { class: "snippet lives" },
    el("summary", {}, el("b", {}, `${usd(total("total"))} over the lifetime`), el("span", {}, `${causes} · why these formats and efforts`)),
    el("div", { class: "table-wrap" }, el("table", {},
      el("caption", { class: "hidden" }, "Candidates"),
      el("thead", {}, el("tr", {}, heads.map((head, place) => el("th", { scope: "col", class: place >= 2 && place <= 5 ? "number" : "" }, head)))),
      el("tbody", {}, lives.map(([variant, life]) => candidateRows(variant, life))))),
    el("p", { class: "note" }, "≈ was reckoned, not measured. A lifetime counts each candidate's own CPU; the sum above counts all that was tried."));
}
