// One picture: who made it, against what, on a stage with a divide, and the figures below.

const AGAINST = {
  same_bytes: "Same bytes", same_score: "Same score", habit: "As usual", original: "Original",
};
const OUTSIDE = [[8, 60, 76, 0.72], [8, 60, 76, 0]];
const ZOOMS = [1, 2, 4];
const TROUBLE = "This browser does not show this format; a current Chromium, Firefox or Safari does.";

const points = (value) => fixed(value, 1);
const signed = (value) => `${value < 0 ? "−" : "+"}${points(Math.abs(value))}`;
const twoFloors = (promise) => promise.includes("/");
const promiseName = (promise) => (twoFloors(promise) ? `two floors ${promise}` : `${promise} everywhere`);

// The scores that a promise is about, by name; a region without pixels has none.
function promisedScores(promise, shown) {
  if (!twoFloors(promise)) return [["", shown.whole]];
  return [[" salient", shown.salient], [" background", shown.background]].filter(([, score]) => score !== null);
}

const scoreWords = (promise, shown) => promisedScores(promise, shown).map(([name, score]) => points(score) + name).join(", ");

function aheadWords(promise, ours, theirs) {
  const before = promisedScores(promise, theirs);
  return promisedScores(promise, ours).map(([name, score], place) => signed(score - before[place][1]) + (name || " points")).join(", ");
}

// What the figures say, whomever they favour: a word for its colour, a headline, a sentence.
function verdict(format, promise, against) {
  const ours = promise.pixfleet;
  const theirs = against === "habit" ? format.habit : promise[against];
  const whole = twoFloors(promise.promise) ? (shown) => `, ${points(shown.whole)} as a whole` : () => "";
  const words = `pixfleet ${bytes(ours.bytes)}: ${scoreWords(promise.promise, ours)}${whole(ours)}. `
    + `Fixed quality ${theirs.quality}, ${bytes(theirs.bytes)}: ${scoreWords(promise.promise, theirs)}${whole(theirs)}.`;
  if (against === "habit") return ["even", `Fixed quality ${theirs.quality}, ${theirs.why}`, words];
  const { better } = theirs;
  if (against === "same_bytes") {
    // Two floors are two claims: a background that gave way for the rest is said in the same breath.
    const ahead = better === "fixed" ? aheadWords(promise.promise, theirs, ours) : aheadWords(promise.promise, ours, theirs);
    const closer = twoFloors(promise.promise) ? "is nearer to the promise" : "scores higher";
    return [better, {
      pixfleet: `pixfleet ${closer} at the same bytes: ${ahead}`,
      fixed: `The fixed encoder ${closer} at the same bytes: ${ahead}`,
      even: `Even at the same bytes: ${ahead}`,
      unmatched: `No fair match: the fixed encoder has no quality of as ${theirs.bytes < ours.bytes ? "many" : "few"} bytes`,
    }[better], words];
  }
  const [smaller, larger] = [ours.bytes, theirs.bytes].sort((one, other) => one - other);
  const saved = percent(1 - smaller / larger);
  const same = twoFloors(promise.promise) ? "that keeps the promise as well" : "at the same score";
  return [better, {
    pixfleet: `pixfleet is ${saved} smaller than the fixed encoder's file ${same}`,
    fixed: `The fixed encoder's file ${same} is ${saved} smaller`,
    even: "Even: as many bytes for the same score",
    unmatched: `No fair match: the fixed encoder has no quality that scores as ${theirs.score < ours.score ? "high" : "low"}`,
  }[better], words];
}

function segmented(label, options, chosen, choose) {
  const buttons = options.map(([value, name]) => el("button", {
    type: "button", class: "toggle", "data-value": String(value), "aria-pressed": String(value === chosen),
    onclick: () => {
      buttons.forEach((button, place) => button.setAttribute("aria-pressed", String(options[place][0] === value)));
      choose(value);
    },
  }, name));
  return el("div", { class: "field" }, el("span", {}, label),
    el("div", { class: "segmented", role: "group", "aria-label": label }, buttons));
}

function figureTable(format, onStage) {
  const heads = ["Encoding", "Bytes", "Whole", "Salient", "Background", "Worst tile", "Quality", "CPU", "Encoder"];
  const cell = (label, extra, ...children) => el("td", { "data-label": label, class: extra }, children);
  const score = (value) => (value === null ? "–" : points(value));
  const row = (name, shown, extra) => {
    const side = onStage.indexOf(shown);
    return el("tr", { class: extra },
      el("th", { scope: "row" }, name, side < 0 ? null : el("span", { class: "tag on" }, side ? "right" : "left")),
      cell("Bytes", "number strong", count(shown.bytes)),
      cell("Whole", "number strong", score(shown.whole)), cell("Salient", "number", score(shown.salient)),
      cell("Background", "number", score(shown.background)), cell("Worst tile", "number", score(shown.worst_tile)),
      cell("Quality", "number", shown.quality === null ? "–" : fixed(shown.quality, shown.quality % 1 ? 1 : 0)),
      cell("CPU", "number", `${count(shown.cpu_ms)} ms`),
      cell("Encoder", "encoder", shown.encoder, shown.reached ? null : el("em", { class: "missed" }, " promise missed"),
        shown.notes.map((note) => el("span", { class: "note" }, note))));
  };
  return el("div", { class: "table-wrap" }, el("table", { class: "variants" },
    el("caption", { class: "hidden" }, `Figures of ${formatName(format.format)}`),
    el("thead", {}, el("tr", {}, heads.map((head, place) => el("th", { scope: "col", class: place && place < 8 ? "number" : "" }, head)))),
    el("tbody", {}, row(`fixed, as usual (${format.habit.quality})`, format.habit, ""), format.promises.map((promise) => [
      row(`pixfleet, ${promiseName(promise.promise)}`, promise.pixfleet, "ours"),
      row("fixed, same bytes", promise.same_bytes, ""),
      row("fixed, same score", promise.same_score, ""),
    ]))));
}

function comparisonStage(image, state) {
  const stage = compareStage({ width: image.width, height: image.height, ground: image.background });
  const map = differences(image.files, image.original, image.background);
  const region = [greyOverlay(image.region, OUTSIDE), ...facesOverlay(image.faces)];
  const legend = el("div", { class: "legend-line", "aria-live": "polite" });
  const shownOn = (side) => ({ left: state.left, right: state.right }[side]);

  async function heat() {
    const wanted = ["left", "right"].map(shownOn);
    const maps = state.heat ? await Promise.all(wanted.map((shown) => map(shown.file))) : [];
    if (wanted.some((shown, place) => shown !== shownOn(["left", "right"][place]))) return;
    ["left", "right"].forEach((side, place) => {
      stage[side].layer.querySelectorAll("canvas").forEach((canvas) => canvas.remove());
      if (!state.heat) return;
      // One file may stand on both sides, a canvas only on one.
      const { canvas } = maps[place];
      const copy = el("canvas", { class: "heat", width: String(canvas.width), height: String(canvas.height) });
      copy.getContext("2d").drawImage(canvas, 0, 0);
      stage[side].layer.append(copy);
    });
    told(maps);
  }

  function told(maps) {
    const words = ({ mean, share }) => `mean ${fixed(mean, 2)}, ${percent(share)} of the area noticeable`;
    legend.replaceChildren(...[
      state.heat ? el("div", { class: "heat-told" }, el("p", {}, "Difference from the original, CIELAB ΔE, one scale for both sides"), heatLegend(),
        el("p", {}, `Left: ${words(maps[0])}. Right: ${words(maps[1])}.`)) : null,
      state.region ? el("p", {}, `Salient: ${percent(image.salient_share)} of the pixels, ${image.faces.length ? plural(image.faces.length, "face") : "no face"} found; what is tinted counts as background.`) : null,
    ].filter(Boolean));
  }

  const toggle = (name, key, apply) => el("button", {
    type: "button", class: "toggle", "aria-pressed": "false",
    onclick: (event) => {
      state[key] = !state[key];
      event.currentTarget.setAttribute("aria-pressed", String(state[key]));
      apply();
    },
  }, name);
  const help = el("span", { class: "help" });
  const zoomed = (factor) => {
    stage.setZoom(factor);
    help.textContent = factor > 1
      ? "drag or ↑ ↓, shift ← → to pan both sides; knob or ← → to divide"
      : "drag or ← → to divide, click to flip";
  };
  zoomed(1);
  const tools = el("div", { class: "tools" },
    segmented("Zoom", ZOOMS.map((factor) => [factor, `${factor}×`]), 1, zoomed),
    toggle("Difference", "heat", heat),
    toggle("Salient region", "region", () => {
      stage.overlay.replaceChildren(...(state.region ? region : []));
      heat();
    }), help);

  function show(side, shown, name, label) {
    state[side] = shown;
    stage[side].show({ url: image.files[shown.file], name, label, alt: `${image.name}: ${label}`, trouble: TROUBLE });
  }
  return { node: el("div", { class: "compare" }, el("div", { class: "mat" }, stage.stage), tools, legend), show, heat };
}

function pictureCard(image) {
  const state = { format: image.formats[0], promise: null, against: "same_bytes", heat: false, region: false };
  const head = el("header", {}, el("h3", {}, image.name),
    el("p", { class: "path" }, `${formatName(image.source_format)}, ${count(image.source_width)} × ${count(image.source_height)} px`,
      image.source_width === image.width ? "" : `, compared at ${count(image.width)} × ${count(image.height)} px`,
      image.frames > 1 ? `; the first of ${count(image.frames)} frames` : ""));
  if (!state.format) {
    return el("article", { class: "card bare failed" }, head, el("p", { class: "note" }, "No format could be made: the failures above say why."));
  }
  const stage = comparisonStage(image, state);
  const picks = el("div", { class: "picks" });
  const said = el("div", { class: "verdict", role: "status" });
  const table = el("div", {});
  const jxl = el("p", { class: "note" }, "Browsers do not show JPEG XL: the stage has the decoded pixels of both files, stored without loss.");

  function update() {
    const { format, against } = state;
    state.promise = format.promises.find((one) => one.promise === state.promise?.promise) || format.promises[format.promises.length - 1];
    const ours = state.promise.pixfleet;
    const theirs = { original: { file: image.original }, habit: format.habit }[against] || state.promise[against];
    stage.show("left", theirs, against === "original" ? "original" : "fixed",
      against === "original" ? "Original" : `Fixed, quality ${theirs.quality} · ${bytes(theirs.bytes)}`);
    stage.show("right", ours, "pixfleet", `pixfleet · ${bytes(ours.bytes)}`);
    picks.replaceChildren(...[
      segmented("Format", image.formats.map((one) => [one, formatName(one.format)]), format, (one) => { state.format = one; update(); }),
      format.promises.length > 1 ? segmented("pixfleet promises", format.promises.map((one) => [one, promiseName(one.promise)]), state.promise, (one) => { state.promise = one; update(); }) : null,
      segmented("Against", Object.entries(AGAINST), against, (one) => { state.against = one; update(); }),
    ].filter(Boolean));
    const [better, headline, words] = against === "original"
      ? ["even", "pixfleet beside the original", `pixfleet ${bytes(ours.bytes)}, ${scoreWords(state.promise.promise, ours)}.`]
      : verdict(format, state.promise, against);
    said.className = `verdict ${better}`;
    said.replaceChildren(el("strong", {}, headline), el("span", {}, words));
    jxl.hidden = format.format !== "jxl";
    table.replaceChildren(figureTable(format, [theirs, ours]));
    stage.heat();
  }
  update();
  return el("article", { class: "card" }, head, picks, said, stage.node, jxl, table);
}
