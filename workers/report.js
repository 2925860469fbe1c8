// The report's ground: its data and its masthead.

const totals = JSON.parse(text("data-totals"));
const rowLines = lines("data-rows");
const cardLines = text("data-cards").split("\n");
const saliencyLines = text("data-saliency").split("\n");
const pictureLines = text("data-pictures").split("\n");
const lifeLines = text("data-lives").split("\n");

const ROW = ["name", "status", "formats", "score", "bytes", "best", "wall_s", "cpu_s", "cost", "count", "reached"];
const VARIANT = [
  "name", "format", "path", "width", "height", "bytes", "quality", "metric", "target", "score",
  "reached", "probes", "encoder", "cpu_s", "memo", "kept_source", "frames", "notes",
  "floors",
];
const FLOORS = [
  "salient_target", "background_target", "salient_score", "background_score", "salient_share", "worst_tile_score",
  "treatment", "strength", "uniform_bytes",
];
const PICTURE = ["width", "height", "sources", "html"];
const SUFFIXES = { jpeg: "jpg" };
const named = (keys, values) => Object.fromEntries(keys.map((key, place) => [key, values[place]]));
const rows = rowLines.map((line, index) => Object.assign(named(ROW, JSON.parse(line)), { index }));

function cardOf(index) {
  if (!cardLines[index]) return null;
  const card = JSON.parse(cardLines[index]);
  card.variants = card.variants.map((values) => {
    const variant = named(VARIANT, values);
    variant.encoder = totals.encoders[variant.encoder];
    const file = `${variant.name}.${SUFFIXES[variant.format] || variant.format}`;
    variant.floors = variant.floors && named(FLOORS, variant.floors);
    variant.url = "./" + (variant.path || `${card.folder}/${file}`);
    return variant;
  });
  card.saliency = saliencyLines[index] || null;
  card.lives = JSON.parse(lifeLines[index] || "[]");
  card.pictures = JSON.parse(pictureLines[index] || "[]").map((values) => named(PICTURE, values));
  return card;
}

const stageOrder = totals.stages.map(([stage]) => stage);
const stageClass = (stage) => `hue hue-${Math.max(0, stageOrder.indexOf(stage)) % 8}`;

// ---- masthead

function masthead() {
  const { done = 0, partial = 0, failed = 0 } = totals.status;
  const wall = totals.wall_s;
  const outcome = [`${count(done)} done`, partial ? ` · ${count(partial)} partial` : "", " · ",
    el("span", { class: failed ? "missed" : "" }, `${count(failed)} failed`)];
  const missing = totals.images - totals.manifests;
  const when = totals.last ? new Date(totals.last).toLocaleString("en-GB", { dateStyle: "long", timeStyle: "short" }) : "";
  const perThousand = totals.images ? usd((Number(totals.cost_usd) / totals.images) * 1000) : "$0";
  const formats = Object.entries(totals.formats).sort((a, b) => b[1][2] - a[1][2]);
  const notes = [];
  if (missing > 0) notes.push(`${plural(missing, "image")} of the batch left no manifest and ${missing === 1 ? "is" : "are"} not shown.`);
  const leftOut = [
    totals.kept_saliency < totals.saliency && `the saliency maps of ${plural(totals.saliency - totals.kept_saliency, "image")}`,
    totals.kept_pictures < totals.pictures && `the HTML snippets and candidates of ${plural(totals.pictures - totals.kept_pictures, "image")}`,
    totals.kept_cards < totals.kept_rows && `all but the figures of ${plural(totals.kept_rows - totals.kept_cards, "image")}`,
    totals.kept_rows < totals.manifests && `${plural(totals.manifests - totals.kept_rows, "image")} altogether`,
  ].filter(Boolean);
  if (leftOut.length) {
    notes.push(`Left out to keep this page small: ${leftOut.join("; ")}. Nothing is left out of the ${totals.ends} images at either end of each sort order, and manifest.jsonl beside this page holds everything.`);
  }
  document.querySelector(".masthead").append(el("div", { class: "wrap" },
    el("p", { class: "brand" }, el("span", { class: "mark", "aria-hidden": "true" }), "pixfleet report"),
    el("div", { class: "heading" },
      el("h1", {}, totals.title),
      el("p", { class: "when" }, `batch ${totals.batch}`, when ? ` · ${when}` : "")),
    el("dl", { class: "figures" },
      figure("Source to best full-size variant", change(totals.compared, totals.compared_best),
        `${bytes(totals.compared)} → ${bytes(totals.compared_best)}, the largest size in its smallest format`, "lead"),
      figure("Images", count(totals.images), outcome),
      figure("Bytes", `${bytes(totals.bytes_in)} → ${bytes(totals.bytes_out)}`,
        `read → written, ${plural(totals.variants, "variant")} together`),
      figure("Cost", usd(totals.cost_usd), `${perThousand} per 1,000 images`),
      figure("Spared by the memo", usd(totals.saved_usd),
        `${seconds(totals.saved_cpu_s)} of CPU, ${plural(totals.memo_hits, "hit")}`),
      figure("Time", wall === null ? seconds(totals.cpu_s) : seconds(wall),
        wall === null ? "of CPU" : `${seconds(totals.cpu_s)} of CPU · ${significant(totals.images / (wall || 1))} images/s`),
      figure("Quality target", totals.missed ? `${count(totals.missed)} missed` : "all reached",
        `of ${plural(totals.variants, "variant")}`, totals.missed ? "alert" : "")),
    el("div", { class: "charts" },
      el("section", {}, el("h2", {}, "Smallest format of each size"),
        stackedBar(formats.map(([name, [made, size, won]]) => ({
          name: formatName(name), value: won, class: formatClass(name), more: `of ${count(made)}, ${bytes(size)}`,
        })), count, "Smallest format")),
      el("section", {}, el("h2", {}, "CPU by stage"),
        stackedBar(totals.stages.map(([name, value]) => ({ name, value, class: stageClass(name) })), seconds, "CPU by stage"))),
    notes.length ? el("p", { class: "notice" }, notes.join(" ")) : null));
}
