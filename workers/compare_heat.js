// How far a picture is from the original, computed here from what the browser itself decoded.

// CIELAB differences of 2 by 2 px means: about what an eye resolves on a screen at arm's length.
const HALF = 0.5;
const MOST_DELTA = 10;
const NOTICEABLE = 2.3;
const DELTA_RAMP = [[8, 8, 16, 1], [34, 20, 66, 1], [136, 34, 112, 1], [228, 88, 62, 1], [252, 184, 78, 1], [255, 253, 214, 1]];
const LINEAR = Float32Array.from({ length: 256 }, (_, value) => {
  const share = value / 255;
  return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
});

// [L, a, b] planes of a decoded picture at half its size (sRGB, D65; CIE 15:2004).
function labPlanes(image, ground) {
  const width = Math.max(1, Math.round(image.naturalWidth * HALF));
  const height = Math.max(1, Math.round(image.naturalHeight * HALF));
  const canvas = el("canvas", { width: String(width), height: String(height) });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = ground;
  context.fillRect(0, 0, width, height);
  context.drawImage(image, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  const planes = [0, 1, 2].map(() => new Float32Array(width * height));
  const bent = (value) => (value > 216 / 24389 ? Math.cbrt(value) : (value * 24389) / 3132 + 16 / 116);
  for (let at = 0, place = 0; place < data.length; at += 1, place += 4) {
    const red = LINEAR[data[place]], green = LINEAR[data[place + 1]], blue = LINEAR[data[place + 2]];
    const x = bent((0.4124564 * red + 0.3575761 * green + 0.1804375 * blue) / 0.95047);
    const y = bent(0.2126729 * red + 0.7151522 * green + 0.072175 * blue);
    const z = bent((0.0193339 * red + 0.119192 * green + 0.9503041 * blue) / 1.08883);
    planes[0][at] = 116 * y - 16;
    planes[1][at] = 500 * (x - y);
    planes[2][at] = 200 * (y - z);
  }
  return { width, height, planes };
}

// A canvas of the differences, their mean, and the share of the area where they can be noticed.
function differenceMap(original, other) {
  const { width, height, planes } = original;
  const canvas = el("canvas", { class: "heat", width: String(width), height: String(height) });
  const context = canvas.getContext("2d");
  const picture = context.createImageData(width, height);
  const table = colours(DELTA_RAMP);
  let sum = 0, noticeable = 0;
  for (let at = 0; at < width * height; at += 1) {
    const delta = Math.hypot(...planes.map((plane, channel) => plane[at] - other.planes[channel][at]));
    sum += delta;
    noticeable += delta > NOTICEABLE;
    picture.data.set(table[Math.min(255, Math.round((delta / MOST_DELTA) * 255))], at * 4);
  }
  context.putImageData(picture, 0, 0);
  return { canvas, mean: sum / (width * height), share: noticeable / (width * height) };
}

// Maps of one picture's files, each made once.
function differences(urls, original, ground) {
  const decoded = (place) => {
    const image = new Image();
    image.src = urls[place];
    return image.decode().then(() => labPlanes(image, ground));
  };
  const reference = decoded(original);
  const made = new Map();
  return (place) => {
    if (!made.has(place)) {
      made.set(place, Promise.all([reference, decoded(place)]).then(([from, to]) => differenceMap(from, to)));
    }
    return made.get(place);
  };
}

function heatLegend() {
  const stops = DELTA_RAMP.map((colour) => `rgb(${colour.slice(0, 3).join(" ")})`).join(", ");
  const mark = (value, words) => el("span", { style: { left: `${(value / MOST_DELTA) * 100}%` } }, words);
  return el("div", { class: "scale" },
    el("div", { class: "ramp", role: "img", "aria-label": `From 0, no difference, to ${MOST_DELTA} and more`, style: { background: `linear-gradient(to right, ${stops})` } }),
    el("div", { class: "ticks", "aria-hidden": "true" }, mark(0, "0"), mark(NOTICEABLE, `${NOTICEABLE} just noticeable`), mark(MOST_DELTA, `${MOST_DELTA}+`)));
}
