// The variants as HTML for a page, to be copied.

async function copyText(text, shown) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Where the page may not write to the clipboard itself, a selection may still be copied.
    getSelection().selectAllChildren(shown);
    document.execCommand("copy");
    getSelection().removeAllRanges();
  }
}

function pictureSnippets(card) {
  if (!card.pictures.length) return null;
  return el("section", { class: "snippets" }, card.pictures.map((picture) => {
    const code = el("code", {}, picture.html);
    const served = picture.sources.map(([format, share]) => `${formatName(format)} ${percent(share, share < 0.0995 ? 1 : 0)}`).join(", ");
    const size = `${count(picture.width)} × ${count(picture.height)} px`;
    const button = el("button", {
      type: "button", class: "toggle copy", "aria-label": `Copy the HTML of ${size}`,
      onclick: async () => {
        details.open = true;
        await copyText(picture.html, code);
        button.textContent = "Copied";
        setTimeout(() => { button.textContent = "Copy"; }, 2000);
      },
    }, "Copy");
    const details = el("details", {},
      el("summary", {}, el("b", {}, "HTML for a page"), el("span", {}, `up to ${size} · views served: ${served}`)),
      el("pre", { tabindex: "0", "aria-label": `HTML of ${size}` }, code));
    return el("div", { class: "snippet" }, details, button);
  }));
}
