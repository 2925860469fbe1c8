// Two pictures at the same display size: drag or arrow keys move the divide, a click flips sides.

function compareStage({ width, height, ground }) {
  const picture = () => el("img", { alt: "", loading: "lazy", decoding: "async", draggable: "false" });
  const left = { image: picture(), tag: el("span", { class: "side left" }) };
  const right = { image: picture(), tag: el("span", { class: "side right" }) };
  left.layer = el("div", { class: "layer before" }, left.image);
  right.layer = el("div", { class: "layer" }, right.image);
  const overlay = el("div", { class: "overlay", "aria-hidden": "true" });
  const trouble = el("p", { class: "trouble", role: "status", hidden: true });
  const handle = el("div", {
    class: "handle", role: "slider", tabindex: "0",
    "aria-valuemin": "0", "aria-valuemax": "100", "aria-orientation": "horizontal",
  }, el("span", { class: "knob", "aria-hidden": "true" }));
  const stage = el("div", { class: "stage", style: { "--w": String(width), "--h": String(height) } },
    right.layer, left.layer, el("div", { class: "layer marks" }, overlay), left.tag, right.tag, handle, trouble);
  if (ground) stage.style.setProperty("--ground", ground);

  // What a side shows: url, name (a word for the divide), label, alt, trouble (said when it does not
  // load) or missing (called then).
  for (const side of [left, right]) {
    side.image.addEventListener("load", () => { trouble.hidden = true; });
    side.image.addEventListener("error", () => {
      if (side.shown.missing) { side.shown.missing(); return; }
      trouble.textContent = side.shown.trouble;
      trouble.hidden = false;
    });
    side.show = (shown) => {
      side.shown = shown;
      trouble.hidden = true;
      side.tag.textContent = shown.label;
      side.image.alt = shown.alt;
      side.image.src = shown.url;
      move(at);
    };
  }

  let at = 50;
  function move(to) {
    at = Math.min(100, Math.max(0, to));
    stage.style.setProperty("--at", `${at}%`);
    handle.setAttribute("aria-valuenow", String(Math.round(at)));
    if (left.shown && right.shown) {
      handle.setAttribute("aria-label", `Divide between ${left.shown.label} and ${right.shown.label}`);
      handle.setAttribute("aria-valuetext", `${Math.round(at)} % ${left.shown.name}, ${Math.round(100 - at)} % ${right.shown.name}`);
    }
    left.tag.classList.toggle("gone", at < 12);
    right.tag.classList.toggle("gone", at > 88);
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
  function setZoom(factor) {
    const box = stage.getBoundingClientRect();
    // What is in the middle stays there.
    const x = (box.width / 2 - panX) / zoom, y = (box.height / 2 - panY) / zoom;
    zoom = factor;
    stage.style.setProperty("--z", String(zoom));
    stage.classList.toggle("zoomed", zoom > 1);
    pan(box.width / 2 - x * zoom, box.height / 2 - y * zoom);
  }
  // The zoom at which a pixel of the picture is one of the screen.
  const actualZoom = () => width / (stage.getBoundingClientRect().width * (window.devicePixelRatio || 1));

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

  move(50);
  return { stage, overlay, left, right, setZoom, actualZoom };
}

// ---- overlays

// Boxes of faces, in fractions of the picture's sides.
function facesOverlay(faces) {
  return faces.map((face) => el("span", {
    class: "face",
    style: {
      left: `${face.x * 100}%`, top: `${face.y * 100}%`, width: `${face.width * 100}%`, height: `${face.height * 100}%`,
    },
  }, el("b", {}, fixed(face.score, 2))));
}

const HEAT = [[38, 24, 92, 0], [92, 32, 142, 0.45], [196, 52, 112, 0.6], [248, 132, 58, 0.72], [255, 224, 110, 0.85]];

// 256 colours along a ramp of [red, green, blue, opacity], as bytes.
function colours(ramp) {
  return Array.from({ length: 256 }, (_, step) => {
    const along = (step / 255) * (ramp.length - 1);
    const from = ramp[Math.floor(along)], to = ramp[Math.ceil(along)];
    return from.map((value, channel) => (value + (to[channel] - value) * (along % 1)) * (channel === 3 ? 255 : 1));
  });
}

// A grey PNG laid over the picture in the colours of a ramp.
function greyOverlay(base64, ramp) {
  const canvas = el("canvas", { class: "heat" });
  const grey = new Image();
  grey.addEventListener("load", () => {
    canvas.width = grey.naturalWidth;
    canvas.height = grey.naturalHeight;
    const context = canvas.getContext("2d");
    context.drawImage(grey, 0, 0);
    const picture = context.getImageData(0, 0, canvas.width, canvas.height);
    const table = colours(ramp);
    for (let place = 0; place < picture.data.length; place += 4) picture.data.set(table[picture.data[place]], place);
    context.putImageData(picture, 0, 0);
  });
  grey.src = `data:image/png;base64,${base64}`;
  return canvas;
}
