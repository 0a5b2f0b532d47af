/* GenerateClassPriors, VaryBackgrounds: how many of how many, and which were there before. */

import { onceAFrame } from "../callbacks.js";
import { watch } from "../live.js";
import { addPanel, make } from "../panel.js";
import { t } from "../words.js";

const HEIGHT = 64;

export function addPriors(node, label) {
  const element = addPanel(node, "priors", label, HEIGHT);
  const bar = make("div", { class: "db-count", role: "progressbar", "aria-label": label, "aria-valuemin": 0 });
  const reused = make("span", { class: "db-reused" });
  const drawn = make("span", { class: "db-drawn" });
  const says = make("div", { class: "db-figures", role: "status" }, t("None counted yet."));
  bar.append(reused, drawn);
  element.append(says, bar);
  let count = null;
  const later = onceAFrame(() => draw(count, { bar, reused, drawn, says }));
  const take = (found) => {
    if (!found) return;
    count = found;
    later();
  };
  watch(
    node,
    (state) => take(state.priors),
    (kind, data) => kind === "priors" && take(data),
  );
}

function draw(count, { bar, reused, drawn, says }) {
  const done = count.reused + count.drawn;
  reused.style.width = `${(100 * count.reused) / count.asked}%`;
  drawn.style.width = `${(100 * count.drawn) / count.asked}%`;
  bar.setAttribute("aria-valuemax", count.asked);
  bar.setAttribute("aria-valuenow", done);
  const parts = [t("{0} of {1}", done, count.asked), t("{0} reused", count.reused), t("{0} new", count.drawn)];
  says.replaceChildren(...parts.map((text) => make("span", {}, text)));
}
