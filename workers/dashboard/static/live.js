// Keeps a page's figures new, and says so when they are not; sends what its buttons ask for.
// Everything shown is text: names and reasons come from strangers.

import { clock } from "./format.js";

const HIDDEN_MS = 15_000;
const PATIENCE_MS = 8_000;
const SLOWEST_MS = 10_000;
const LATE_S = 10;

/**
 * An element: attributes as given (a function is a listener of its event), children as text or nodes.
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Set a node's text, touching the page only where it differs. */
export function setText(node, text) {
  const said = String(text);
  if (node.textContent !== said) node.textContent = said;
}

/**
 * Make the children of `parent` show `items` in their order. Elements live on by their key, so focus,
 * selection and scroll do too: make(item) builds one, update(element, item) fills it.
 */
export function reconcile(parent, items, key, make, update) {
  const before = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const wanted = new Set(items.map((item) => String(key(item))));
  // First, since what moves past them would lose the focus.
  for (const [name, child] of before) if (!wanted.has(name)) child.remove();
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    let child = before.get(name);
    if (!child) {
      child = make(item);
      child.dataset.key = name;
    }
    update(child, item);
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
  }
}

/** The dashboard gave no answer, or one that says that it cannot. */
class Silent extends Error {}

class Lamp {
  constructor() {
    this.state = document.getElementById("pf-live");
    this.banner = document.getElementById("pf-banner");
    this.said = null;
  }

  live(read_at_s) {
    this.state.dataset.state = "live";
    setText(this.state, read_at_s ? `Live · ${clock(read_at_s)}` : "Waiting for figures");
    this.say(null);
  }

  trouble(state, text, again) {
    this.state.dataset.state = "away";
    setText(this.state, state);
    this.say(text, again);
  }

  // Said once: a banner that is written anew every two seconds would be read out every two seconds.
  say(text, again) {
    if (text === this.said) return;
    this.said = text;
    this.banner.hidden = text === null;
    this.banner.replaceChildren(...(text === null ? [] : [element("span", {}, text)]));
    if (text !== null && again) {
      const button = { type: "button", class: "btn btn-sm btn-outline-secondary", click: () => location.reload() };
      this.banner.append(element("button", button, again));
    }
  }
}

/**
 * Ask `path` again and again and give render(data, answer) what is new. The page needs #pf-live and
 * #pf-banner (page.html has them). Returns {now()}, which asks at once.
 */
export function live(path, render, { everyMs = 2_000 } = {}) {
  const lamp = new Lamp();
  let answer = null;
  let etag = null;
  let timer = 0;
  let failures = 0;
  let asking = false;

  const kept = () => (answer?.read_at_s ? `; the figures are of ${clock(answer.read_at_s)}` : "");

  async function ask() {
    const headers = etag ? { "If-None-Match": etag } : {};
    const options = { headers, cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) };
    const got = await fetch(path, options).catch((error) => {
      throw new Silent(error.message);
    });
    if (got.status === 401 || got.redirected) {
      lamp.trouble("Signed out", `You are signed out${kept()}.`, "Sign in again");
      return false;
    }
    if (got.status === 304) {
      answer.read_at_s = Number(got.headers.get("X-Read-At-S")) || answer.read_at_s;
    } else if (got.ok) {
      const fresh = await got.json();
      if (fresh.data !== null) render(fresh.data, fresh);
      answer = fresh;
      etag = got.headers.get("ETag"); // of what is shown: what could not be shown is asked for again
    } else {
      throw new Silent(`status ${got.status}`);
    }
    // By the dashboard's own clock: this computer's may be another's.
    const age_s = Date.parse(got.headers.get("Date")) / 1_000 - answer.read_at_s;
    if (answer.problem) lamp.trouble("Not live", `${answer.problem}${kept()}.`);
    else if (answer.read_at_s && age_s > LATE_S + (3 * everyMs) / 1_000) lamp.trouble("Not live", `Redis is slow${kept()}.`);
    else lamp.live(answer.read_at_s);
    return true;
  }

  async function turn() {
    if (asking) return;
    asking = true;
    clearTimeout(timer);
    let goOn = true;
    try {
      goOn = await ask();
      failures = 0;
    } catch (error) {
      failures += 1;
      // One lost answer is no news.
      if (error instanceof Silent) {
        if (failures > 1) lamp.trouble("Offline", `The dashboard does not answer${kept()}.`);
      } else {
        lamp.trouble("Broken", `This page failed (${error.message})${kept()}.`, "Reload");
        console.error(error);
      }
    }
    asking = false;
    const pause = document.hidden ? HIDDEN_MS : Math.min(everyMs * 2 ** Math.max(failures - 1, 0), SLOWEST_MS);
    if (goOn) timer = setTimeout(turn, Math.max(pause, everyMs));
  }

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) turn();
  });
  turn();
  return { now: turn };
}

function token() {
  const found = document.cookie.match(/(?:^|; )_xsrf=([^;]*)/);
  return found ? found[1] : "";
}

/** What a write was refused with: `code` for the page, the message for its reader. */
export class Refused extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** POST an order; what came of it, or Refused. A page that was open for long gets its new token itself. */
export async function send(path, order, again = true) {
  let got;
  try {
    got = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Xsrftoken": token() },
      body: JSON.stringify(order),
      signal: AbortSignal.timeout(30_000),
    });
  } catch {
    throw new Refused("offline", "The dashboard does not answer; nothing is known of what came of it.");
  }
  const said = await got.json().catch(() => ({}));
  if (got.ok) return said.done;
  const { code = "failed", message = `status ${got.status}` } = said.error ?? {};
  if (code === "stale" && again) return send(path, order, false);
  throw new Refused(code, code === "signed_out" ? "You are signed out: reload the page." : message);
}

/** Say in passing what came of something; "bad" stays until it is closed. */
export function notify(text, kind = "ok") {
  const bad = kind === "bad";
  const close = { type: "button", class: "btn-close me-2 m-auto", "data-bs-dismiss": "toast", "aria-label": "Close" };
  const toast = element(
    "div",
    { class: `toast pf-toast pf-toast-${kind}`, role: bad ? "alert" : "status" },
    element("div", { class: "d-flex" }, element("div", { class: "toast-body" }, text), element("button", close)),
  );
  document.getElementById("toast-container").append(toast);
  toast.addEventListener("hidden.bs.toast", () => toast.remove());
  window.bootstrap.Toast.getOrCreateInstance(toast, { autohide: !bad, delay: 6_000 }).show();
}

/** Ask before something is done that is felt; whether to do it. Escape is no. */
export function confirmed(question, detail, verb) {
  const no = element("button", { type: "button", class: "btn btn-outline-secondary" }, "Cancel");
  const yes = element("button", { type: "button", class: "btn btn-primary" }, verb);
  const dialog = element(
    "dialog",
    { class: "pf-dialog", "aria-label": question },
    element("h2", { class: "h5" }, question),
    element("p", { class: "pf-muted" }, detail),
    element("div", { class: "pf-dialog-actions" }, no, yes),
  );
  document.body.append(dialog);
  return new Promise((resolve) => {
    let agreed = false;
    no.addEventListener("click", () => dialog.close());
    yes.addEventListener("click", () => {
      agreed = true;
      dialog.close();
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(agreed);
    });
    dialog.showModal();
    no.focus();
  });
}
