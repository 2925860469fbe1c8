// The Budget page.

import { usd } from "./format.js";
import { element, live, reconcile, setText } from "./live.js";

live("budget/data", (data) => {
  const owners = Object.entries(data.today_usd);
  reconcile(
    document.getElementById("today"),
    owners,
    ([owner]) => owner,
    ([owner]) => element("tr", {}, element("th", { scope: "row" }, owner), element("td", { class: "pf-number" })),
    (shown, [, spent]) => setText(shown.lastChild, usd(spent)),
  );
  document.getElementById("nothing").hidden = owners.length > 0;
});
