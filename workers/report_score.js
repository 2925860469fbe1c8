// How good a variant looks: one score against its target, or two against their floors.

const scoreText = (variant) =>
  variant.metric === "lossless" ? "lossless"
    : variant.metric === "source" && variant.score === null ? "source"
      : variant.score === null ? "–" : fixed(variant.score, 1);

function gauge(score, target, what) {
  const clamp = (value) => `${Math.min(100, Math.max(0, value))}%`;
  return [
    el("span", { class: score >= target - 0.5 ? "gauge" : "gauge low", "aria-hidden": "true", style: { "--score": clamp(score), "--target": clamp(target) } }),
    el("span", {}, fixed(score, 1), el("small", {}, ` / ${fixed(target, target % 1 ? 1 : 0)}${what ? ` ${what}` : ""}`)),
  ];
}

function scoreCell(variant) {
  const missed = variant.reached ? null : el("em", { class: "missed" }, "missed");
  const floors = variant.floors;
  if (floors && variant.metric === "ssimulacra2") {
    const region = (score, target, what, share) => el("span", { class: "score" },
      score === null ? el("small", {}, `nothing is ${what}`) : gauge(score, target, `${what}, ${percent(share)}`));
    return el("span", { class: "floors" },
      region(floors.salient_score, floors.salient_target, "salient", floors.salient_share),
      region(floors.background_score, floors.background_target, "background", 1 - floors.salient_share),
      floors.worst_tile_score === null ? null : el("small", {}, `worst tile ${fixed(floors.worst_tile_score, 1)}`), missed);
  }
  if (variant.score === null) {
    return el("span", { class: "score" }, scoreText(variant), variant.reached ? null : el("em", { class: "missed" }, "target missed"));
  }
  return el("span", { class: "score" }, gauge(variant.score, variant.target), missed);
}

function treatmentTag(variant) {
  const floors = variant.floors;
  if (!floors || variant.metric !== "ssimulacra2") return null;
  if (floors.treatment === "uniform") return el("span", { class: "treated" }, "coded uniformly, which takes fewest bytes");
  const strength = { requantised: `steps +${fixed(floors.strength, 1)}`, softened: `quality −${fixed(floors.strength, 0)}` };
  return el("span", { class: "treated" }, `background ${floors.treatment} (${strength[floors.treatment]}): `,
    el("b", {}, change(floors.uniform_bytes, variant.bytes)), ` against ${bytes(floors.uniform_bytes)} uniform`);
}
