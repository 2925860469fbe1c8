// One image: comparison, variants, what was seen in it, where its time and money went.

const STATUS = { done: "done", partial: "partial", failed: "failed" };
const badge = (status) => el("span", { class: `badge ${STATUS[status] || ""}` }, status);

function bestOf(variants) {
  const area = (variant) => variant.width * variant.height;
  return variants.reduce((best, variant) => (
    !best || area(variant) > area(best) || (area(variant) === area(best) && variant.bytes < best.bytes)
      ? variant : best), null);
}

function standInOf(variants) {
  // Most browsers do not show JPEG XL, so it stands in only where nothing else is there.
  const rank = (variant) => [variant.format !== "jxl", variant.score === null ? 100 : variant.score, variant.width];
  return variants.reduce((best, variant) => {
    if (!best) return variant;
    const ours = rank(variant), theirs = rank(best);
    const place = ours.findIndex((value, index) => value !== theirs[index]);
    return place >= 0 && ours[place] > theirs[place] ? variant : best;
  }, null);
}

function variantTable(card) {
  const heads = ["Variant", "Format", "Size, px", "Bytes", "Of source", "Score / target", "Quality", "Probes", "CPU", "Encoder"];
  const cell = (label, extra, ...children) => el("td", { "data-label": label, class: extra }, children);
  const smallest = {};
  for (const variant of card.variants) {
    smallest[variant.name] = Math.min(smallest[variant.name] ?? Infinity, variant.bytes);
  }
  return el("div", { class: "table-wrap" }, el("table", { class: "variants" },
    el("caption", { class: "hidden" }, "Variants"),
    el("thead", {}, el("tr", {}, heads.map((head, place) =>
      el("th", { scope: "col", class: place >= 2 && place <= 8 && place !== 5 ? "number" : "" }, head)))),
    el("tbody", {}, card.variants.map((variant) => el("tr", { class: variant.reached ? "" : "missed-row" },
      el("th", { scope: "row" }, el("a", { href: variant.url, target: "_blank", rel: "noopener" }, variant.name)),
      cell("Format", "", el("span", { class: "format" }, el("i", { class: formatClass(variant.format) }), formatName(variant.format)),
        variant.bytes === smallest[variant.name] ? el("span", { class: "tag won", title: "smallest format of this size" }, "smallest") : null),
      cell("Size, px", "number", `${count(variant.width)} × ${count(variant.height)}`, variant.frames > 1 ? el("small", {}, ` × ${count(variant.frames)} frames`) : null),
      cell("Bytes", "number strong", bytes(variant.bytes)),
      cell("Of source", "number", card.bytes ? percent(variant.bytes / card.bytes, variant.bytes / card.bytes < 0.0995 ? 1 : 0) : "–"),
      cell("Score / target", "", scoreCell(variant)),
      cell("Quality", "number", variant.quality === null ? "–" : fixed(variant.quality, variant.quality % 1 ? 1 : 0)),
      cell("Probes", "number", count(variant.probes)),
      cell("CPU", "number", variant.memo ? el("span", { class: "tag" }, "memo") : seconds(variant.cpu_s)),
      cell("Encoder", "encoder", variant.encoder,
        variant.kept_source ? el("span", { class: "tag" }, "source kept") : null,
        treatmentTag(variant),
        variant.notes.map((note) => el("span", { class: "note" }, note))))))),
  Object.keys(card.same_as).length ? el("p", { class: "note" }, "Not made, the pixels would be the same: ",
    Object.entries(card.same_as).map(([name, other]) => `${name} (as ${other})`).join(", "), ".") : null);
}

const facts = (pairs) => el("dl", { class: "facts" }, pairs.filter((pair) => pair && pair[1] !== null && pair[1] !== undefined)
  .map(([name, value]) => el("div", { class: String(value).length > 13 ? "wide" : "" }, el("dt", {}, name), el("dd", {}, value))));

function panel(title, ...children) {
  return el("section", { class: "panel" }, el("h4", {}, title), children);
}

function featurePanel(card) {
  const seen = card.features;
  if (!seen) return null;
  return panel("Seen in it",
    seen.colors && seen.colors.length ? el("ul", { class: "swatches", "aria-label": "Dominant colours" }, seen.colors.map((color) =>
      el("li", { title: `${color.hex}, ${percent(color.share)}` },
        el("i", { style: { background: color.hex } }), el("code", {}, color.hex), el("small", {}, percent(color.share))))) : null,
    facts([
      ["Faces", seen.faces ? (seen.faces.length ? count(seen.faces.length) : "none") : null],
      ["Sharpness", seen.sharpness === undefined ? null : count(seen.sharpness)],
      ["Entropy", seen.entropy_bits === undefined ? null : `${fixed(seen.entropy_bits, 2)} bit`],
      ["Edges", seen.edge_density === undefined ? null : percent(seen.edge_density, 1)],
      ["Alpha", seen.has_alpha ? "yes" : null],
      ["Frames", seen.frames > 1 ? count(seen.frames) : null],
      ["pHash", seen.phash ? el("code", {}, seen.phash) : null],
      ["dHash", seen.dhash ? el("code", {}, seen.dhash) : null],
    ]));
}

function timePanel(card) {
  const stages = card.receipt.stages || [];
  const wall = stages.reduce((sum, stage) => sum + stage.wall_s, 0);
  return panel("Time", el("p", { class: "sum" }, seconds(card.receipt.cpu_s || 0), " of CPU",
    stages.length ? `, ${seconds(wall)} at work` : ""),
  stages.length ? stackedBar(stages.map((stage) => ({ name: stage.stage, value: stage.cpu_s, class: stageClass(stage.stage) })), seconds, "CPU by stage") : null);
}

function moneyPanel(card) {
  const receipt = card.receipt;
  const line = Object.entries(receipt.lines_usd || {}).map(([cause, amount]) => [cause, usd(amount)]);
  const asked = Object.entries(receipt.requests || {}).map(([kind, sum]) => `${count(sum)} ${kind}`);
  return panel("Cost",
    el("p", { class: "sum" }, usd(receipt.cost_usd || 0),
      Number(receipt.saved_usd || 0) ? el("span", { class: "spared" }, ` the memo spared ${usd(receipt.saved_usd)}, ${seconds(receipt.saved_cpu_s || 0)} of CPU`) : null),
    facts([...line, ["Requests", asked.length ? asked.join(", ") : null], ["Prices", receipt.price_book || null]]));
}

function planPanel(card) {
  if (!card.plan) return null;
  const [execution, reason, members] = card.plan;
  const words = { memo: "from the memo", fused: "one task", fanout: `fanned out to ${plural(members, "member")}` };
  return panel("Plan", el("p", { class: "sum" }, words[execution] || execution), el("p", { class: "why" }, reason),
    facts([["Recipe", card.recipe], ["Tenant", card.tenant === "default" ? null : card.tenant],
      ["Attempts", card.attempts > 1 ? count(card.attempts) : null], ["Worker", card.worker || null]]));
}

const MOVED = "The variant's file is not where the report expects it; keep report.html in the output folder.";
const DIVIDE = "drag or ← → to divide, click to flip";

function comparison(card) {
  const best = bestOf(card.variants);
  const standIn = standInOf(card.variants);
  const standInLabel = `${standIn.name} ${formatName(standIn.format)}, in the source's place`;
  const aside = el("p", { class: "note", hidden: true });
  const told = (why) => {
    aside.hidden = false;
    aside.textContent = `${why} The left side is the variant with the highest score instead: ${standIn.name} ${formatName(standIn.format)}, ${scoreText(standIn)}.`;
  };
  const colour = card.features && card.features.colors && card.features.colors[0];
  const compared = compareStage({
    width: card.width || best.width, height: card.height || best.height, ground: colour && colour.hex,
  });
  const substitute = { url: standIn.url, name: "variant", label: standInLabel, alt: `Variant ${standInLabel}`, trouble: MOVED };
  if (card.link) {
    const label = `Source ${formatName(card.format)} · ${bytes(card.bytes)}`;
    compared.left.show({
      url: card.link, name: "source", label, alt: `Source ${card.source}`,
      // The page may have moved away from its sources: the best variant is still beside it.
      missing: () => { compared.left.show(substitute); told("The source was not found from here."); },
    });
  } else {
    compared.left.show(substitute);
    told(`A browser cannot show the source (${formatName(card.format)}, ${card.source.split(":", 1)[0] === "s3" ? "in a bucket" : "on disk"}).`);
  }

  const crop = el("p", { class: "note", hidden: true });
  const chips = card.variants.map((variant) => el("button", {
    type: "button", class: "chip", "aria-pressed": "false", onclick: () => choose(variant),
  }, el("i", { class: formatClass(variant.format) }), el("b", {}, variant.name), ` ${formatName(variant.format)} `,
  el("span", {}, bytes(variant.bytes)), el("span", { class: variant.reached ? "reached" : "missed" }, scoreText(variant))));
  function choose(variant) {
    chips.forEach((chip, place) => chip.setAttribute("aria-pressed", String(card.variants[place] === variant)));
    const drift = Math.abs((variant.width / variant.height) / ((card.width || best.width) / (card.height || best.height)) - 1);
    crop.hidden = drift < 0.02;
    crop.textContent = `${variant.name} has another shape than the source (${count(variant.width)} × ${count(variant.height)} px), so the two sides do not line up.`;
    compared.right.show({
      url: variant.url, name: "variant",
      label: `${variant.name} ${formatName(variant.format)} · ${bytes(variant.bytes)}`,
      alt: `${variant.name}, ${formatName(variant.format)}, ${bytes(variant.bytes)}`,
      trouble: variant.format === "jxl" ? "This browser does not show JPEG XL; the file itself is fine to open elsewhere." : MOVED,
    });
  }
  const seen = card.features || {};
  const faces = seen.faces && seen.faces.length ? facesOverlay(seen.faces.map((face) => ({
    x: face.x / seen.width, y: face.y / seen.height, width: face.width / seen.width, height: face.height / seen.height, score: face.score,
  }))) : null;
  const layer = (label, nodes) => el("button", {
    type: "button", class: "toggle", "aria-pressed": "false",
    onclick: (event) => {
      const on = event.currentTarget.getAttribute("aria-pressed") !== "true";
      event.currentTarget.setAttribute("aria-pressed", String(on));
      if (on) compared.overlay.append(...nodes());
      else compared.overlay.replaceChildren(...[...compared.overlay.children].filter((node) => !nodes().includes(node)));
    },
  }, label);
  let heat = null;
  const help = el("span", { class: "help" }, DIVIDE);
  const zoom = el("button", {
    type: "button", class: "toggle", "aria-pressed": "false",
    onclick: () => {
      const on = zoom.getAttribute("aria-pressed") !== "true";
      zoom.setAttribute("aria-pressed", String(on));
      const factor = on ? Math.max(2, compared.actualZoom()) : 1;
      compared.setZoom(factor);
      zoom.textContent = on ? `Zoom ${fixed(factor, 1)} ×` : "Zoom";
      help.textContent = on ? "drag or ↑ ↓, shift ← → to pan; knob or ← → to divide" : DIVIDE;
    },
  }, "Zoom");
  // Never a picture against itself, and JPEG XL only where there is nothing else.
  const others = card.variants.filter((variant) => variant.format !== "jxl" && (card.link || variant !== standIn));
  choose(bestOf(others) || best);
  return el("div", { class: "compare" },
    el("div", { class: "mat" }, compared.stage),
    el("div", { class: "tools" },
      faces ? layer(`Faces (${count(faces.length)})`, () => faces) : null,
      card.saliency ? layer("Saliency", () => [heat || (heat = greyOverlay(card.saliency, HEAT))]) : null,
      zoom, help),
    el("div", { class: "chips", role: "group", "aria-label": "Variant on the right side" }, chips), aside, crop);
}

function imageCard(row) {
  const card = cardOf(row.index);
  const head = (best, source) => el("header", {},
    el("h3", {}, row.name), badge(row.status),
    best ? el("p", { class: best.bytes > row.bytes ? "gain grown" : "gain" }, el("strong", {}, change(row.bytes, best.bytes)),
      ` ${bytes(row.bytes)} → ${bytes(best.bytes)} as ${best.name} ${formatName(best.format)}`) : null,
    source ? el("p", { class: "path" }, source) : null);
  if (!card) {
    return el("article", { class: "card bare" }, head(null, null), facts([["Source", bytes(row.bytes)], ["Best variant", bytes(row.best)],
      ["Variants", count(row.count)], ["Lowest score", row.score === null ? null : fixed(row.score, 1)],
      ["CPU", seconds(row.cpu_s)], ["Cost", usd(row.cost)]]), el("p", { class: "note" }, "Its details are in manifest.jsonl."));
  }
  const dims = card.width ? `${formatName(card.format)}, ${count(card.width)} × ${count(card.height)} px · ` : "";
  const broken = card.failures.length ? el("ul", { class: "reasons" }, card.failures.map(([code, message, hint, variant]) =>
    el("li", {}, el("code", {}, code), variant ? el("span", { class: "tag" }, variant) : null, el("p", {}, message), el("p", { class: "hint" }, hint)))) : null;
  if (!card.variants.length) {
    return el("article", { class: `card bare ${row.status}` }, head(null, dims + card.source), broken,
      card.features || card.plan ? el("div", { class: "panels" }, featurePanel(card), timePanel(card), moneyPanel(card), planPanel(card)) : null);
  }
  return el("article", { class: `card ${row.status}` }, head(bestOf(card.variants), dims + card.source), broken,
    el("div", { class: "body" }, comparison(card),
      el("div", { class: "panels" }, featurePanel(card), timePanel(card), moneyPanel(card), planPanel(card))),
    variantTable(card), card.notes.map((note) => el("p", { class: "note" }, note)), lifetimes(card), pictureSnippets(card));
}
