// The page as a whole: what the comparison came to, then its pictures.

const totals = JSON.parse(text("data-totals"));
const images = lines("data-images").map((line) => JSON.parse(line));

// Who is ahead how often.
function tallied(counts) {
  const parts = [["pixfleet", "pixfleet ahead in"], ["fixed", "fixed ahead in"], ["even", "even in"], ["unmatched", "no match in"]];
  return parts.filter(([key]) => counts[key]).map(([key, words]) => `${words} ${count(counts[key])}`).join(", ");
}

function sums() {
  return totals.sums.map((sum) => {
    const { saved, points: ahead } = sum;
    const even = saved === null || Math.abs(saved) <= totals.even_share;
    const size = saved === null ? "no match" : `${percent(Math.abs(saved))} ${saved < 0 ? "larger" : "smaller"}`;
    const better = ahead === null ? "no match" : `${signed(ahead)} points`;
    return figure(`${formatName(sum.format)}, ${promiseName(sum.promise)}`, size, [
      `at the same score (${tallied(sum.same_score)})`, el("br"), `${better} at the same bytes (${tallied(sum.same_bytes)})`, el("br"),
      `${seconds(sum.cpu_ms / 1000)} of CPU with the search, against ${seconds(sum.fixed_cpu_ms / 1000)} for the encodings alone`,
    ], even ? "half" : saved < 0 ? "half alert" : "half won");
  });
}

function compareMasthead() {
  document.querySelector(".masthead").append(el("div", { class: "wrap" },
    el("p", { class: "brand" }, el("span", { class: "mark", "aria-hidden": "true" }), "pixfleet compare"),
    el("div", { class: "heading" }, el("h1", {}, "pixfleet against fixed quality"),
      el("p", { class: "when" }, plural(totals.images, "picture"))),
    totals.sums.length ? el("dl", { class: "figures" }, sums()) : null,
    el("p", { class: "notice" },
      "pixfleet searches each picture's quality; the fixed encoder is the one most programs use, and its quality was moved here until its file had as many bytes as pixfleet's, and then until it scored the same. ",
      `The score is SSIMULACRA2 of all decoded pixels (90 visually lossless, 70 high); under two floors it is that of the region nearer to its floor. Differences up to ${totals.even_points} points or ${percent(totals.even_share)} of the bytes are called even. `,
      "pixfleet's CPU time is that of its whole search; the fixed encoder's is of the one encoding, without the tries that found its quality.")));
}

compareMasthead();
showFailures(totals.failures);
document.getElementById("images").append(
  el("div", { class: "bar-top" }, el("h2", { id: "images-title" }, "Pictures"), el("p", { class: "tally" }, plural(images.length, "picture"))),
  el("div", { class: "results as-cards" }, images.map(pictureCard)));
document.querySelector(".colophon").append(el("p", { class: "wrap" },
  "SSIMULACRA2 drove pixfleet's search and judges it here; the difference map is an independent measure, computed by your browser from the pictures it shows: CIELAB ΔE of 2 × 2 px means, which knows nothing of masking by detail. ",
  "Every picture is inside this file."));
