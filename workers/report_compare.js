// Two pictures at the same display size: drag or arrow keys move the divide, a click flips sides.

function compareStage(card, left) {
  const width = card.width || left.width || 3;
  const height = card.height || left.height || 2;
  const before = el("img", { alt: left.alt, loading: "lazy", decoding: "async", draggable: "false" });
  const after = el("img", { alt: "", loading: "lazy", decoding: "async", draggable: "false" });
  const overlay = el("div", { class: "overlay", "aria-hidden": "true" });
  const tagLeft = el("span", { class: "side left" }, left.label);
  const tagRight = el("span", { class: "side right" });
  const trouble = el("p", { class: "trouble", role: "status", hidden: true });
  const handle = el("div", {
    class: "handle", role: "slider", tabindex: "0", "aria-label": `Divide between ${left.label} and the variant`,
    "aria-valuemin": "0", "aria-valuemax": "100", "aria-orientation": "horizontal",
  }, el("span", { class: "knob", "aria-hidden": "true" }));
  const stage = el("div", { class: "stage", style: { "--w": String(width), "--h": String(height) } },
    el("div", { class: "layer" }, after), el("div", { class: "layer before" }, before),
    el("div", { class: "layer marks" }, overlay), tagLeft, tagRight, handle, trouble);
  const color = card.features && card.features.colors && card.features.colors[0];
  if (color) stage.style.setProperty("--ground", color.hex);

  let at = 50;
  function move(to) {
    at = Math.min(100, Math.max(0, to));
    stage.style.setProperty("--at", `${at}%`);
    handle.setAttribute("aria-valuenow", String(Math.round(at)));
    handle.setAttribute("aria-valuetext", `${Math.round(at)} % source, ${Math.round(100 - at)} % variant`);
    tagLeft.classList.toggle("gone", at < 12);
    tagRight.classList.toggle("gone", at > 88);
  }
  const flip = () => move(at < 50 ? 100 : 0);

  let zoom = 1, panX = 0, panY = 0;
  function pan(x, y) {
    const box = stage.getBoundingClientRect();
    panX = Math.min(0, Math.max(box.width * (1 - zoom), x));
    panY = Math.min(0, Math.max(box.height * (1 - zoom), y));
    stage.style.setProperty("--x", `${panX}px`);
    stage.style.setProperty("--y", `${panY}px`);
  }
  function setZoom(on) {
    const box = stage.getBoundingClientRect();
    const actual = width / (box.width * (window.devicePixelRatio || 1));
    zoom = on ? Math.max(2, actual) : 1;
    stage.style.setProperty("--z", String(zoom));
    stage.classList.toggle("zoomed", on);
    pan((box.width * (1 - zoom)) / 2, (box.height * (1 - zoom)) / 2);
    return zoom;
  }

  let grip = null;
  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    const onHandle = handle.contains(event.target);
    grip = { x: event.clientX, y: event.clientY, panX, panY, at, moved: false, pans: zoom > 1 && !onHandle };
    stage.setPointerCapture(event.pointerId);
    handle.focus({ preventScroll: true });
    event.preventDefault();
  });
  stage.addEventListener("pointermove", (event) => {
    if (!grip) return;
    const dx = event.clientX - grip.x, dy = event.clientY - grip.y;
    if (!grip.moved && Math.hypot(dx, dy) < 4) return;
    grip.moved = true;
    const box = stage.getBoundingClientRect();
    if (grip.pans) pan(grip.panX + dx, grip.panY + dy);
    else move(((event.clientX - box.left) / box.width) * 100);
  });
  stage.addEventListener("pointerup", () => {
    if (grip && !grip.moved) flip();
    grip = null;
  });
  stage.addEventListener("pointercancel", () => { grip = null; });
  handle.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 10 : 2;
    const moves = {
      ArrowLeft: at - step, ArrowDown: at - step, ArrowRight: at + step, ArrowUp: at + step,
      PageDown: at - 10, PageUp: at + 10, Home: 0, End: 100,
    };
    const pans = {
      ArrowUp: [0, 40], ArrowDown: [0, -40], ArrowLeft: event.shiftKey && [40, 0], ArrowRight: event.shiftKey && [-40, 0],
    };
    if (zoom > 1 && pans[event.key]) pan(panX + pans[event.key][0], panY + pans[event.key][1]);
    else if (event.key in moves) move(moves[event.key]);
    else if (event.key === " " || event.key === "Enter") flip();
    else return;
    event.preventDefault();
  });

  let standsIn = left.standIn;
  before.addEventListener("error", () => {
    // The page may have moved away from its sources: the best variant is still beside it.
    if (standsIn || !left.fallback) return;
    standsIn = true;
    before.src = left.fallback.url;
    tagLeft.textContent = left.fallback.label;
    left.onFallback();
  });
  before.src = left.url;

  let shown = null;
  after.addEventListener("load", () => { trouble.hidden = true; });
  after.addEventListener("error", () => {
    trouble.textContent = shown.format === "jxl"
      ? "This browser does not show JPEG XL; the file itself is fine to open elsewhere."
      : "The variant's file is not where the report expects it; keep report.html in the output folder.";
    trouble.hidden = false;
  });
  function show(variant) {
    shown = variant;
    trouble.hidden = true;
    after.alt = `${variant.name}, ${formatName(variant.format)}, ${bytes(variant.bytes)}`;
    tagRight.textContent = `${variant.name} ${formatName(variant.format)} · ${bytes(variant.bytes)}`;
    after.src = variant.url;
  }
  move(50);
  return { stage, overlay, show, setZoom };
}

// ---- overlays

function facesOverlay(features) {
  return (features.faces || []).map((face) => el("span", {
    class: "face",
    style: {
      left: `${(face.x / features.width) * 100}%`, top: `${(face.y / features.height) * 100}%`,
      width: `${(face.width / features.width) * 100}%`, height: `${(face.height / features.height) * 100}%`,
    },
  }, el("b", {}, fixed(face.score, 2))));
}

const HEAT = [[38, 24, 92, 0], [92, 32, 142, 0.45], [196, 52, 112, 0.6], [248, 132, 58, 0.72], [255, 224, 110, 0.85]];

function saliencyOverlay(base64) {
  const canvas = el("canvas", { class: "heat" });
  const grey = new Image();
  grey.addEventListener("load", () => {
    canvas.width = grey.naturalWidth;
    canvas.height = grey.naturalHeight;
    const context = canvas.getContext("2d");
    context.drawImage(grey, 0, 0);
    const picture = context.getImageData(0, 0, canvas.width, canvas.height);
    const data = picture.data;
    for (let place = 0; place < data.length; place += 4) {
      const along = (data[place] / 255) * (HEAT.length - 1);
      const from = HEAT[Math.floor(along)], to = HEAT[Math.ceil(along)], share = along % 1;
      for (let channel = 0; channel < 4; channel += 1) {
        const value = from[channel] + (to[channel] - from[channel]) * share;
        data[place + channel] = channel === 3 ? value * 255 : value;
      }
    }
    context.putImageData(picture, 0, 0);
  });
  grey.src = `data:image/png;base64,${base64}`;
  return canvas;
}
