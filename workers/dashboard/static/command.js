// A command to type, and a button that copies it.

import { element, setText } from "./live.js";

const SAID_MS = 2_000;

/** Empty; setCommand fills it. */
export function makeCommand() {
  const code = element("code");
  const button = element("button", { type: "button", class: "btn btn-sm pf-copy", click: copy }, "Copy");
  let timer = 0;

  async function copy() {
    let said = "Copied";
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      // Without HTTPS there is no clipboard: it is marked, so that the keyboard copies it.
      getSelection().selectAllChildren(code);
      said = "Marked";
    }
    setText(button, said);
    clearTimeout(timer);
    timer = setTimeout(() => setText(button, "Copy"), SAID_MS);
  }

  return element("span", { class: "pf-command" }, code, button);
}

export function setCommand(node, command) {
  setText(node.firstElementChild, command);
}
