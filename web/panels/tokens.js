/* PickRareToken: the candidates as chips, the weakest prior first; a click chooses one for the next run. */

import { after } from "../callbacks.js";
import { onOutput } from "../outputs.js";
import { addPanel, make, setWidget, showLinked, widgetOf } from "../panel.js";
import { short, t } from "../words.js";

const HEIGHT = 150;
const KEPT = "dreambooth_candidates";
const DRAWN_BY = ["length", "seed"];

export function addTokens(node) {
  const element = addPanel(node, "tokens", t("Candidates"), HEIGHT);
  const hint = make("p", { class: "db-hint" }, t("Run once to see the candidates, then click the one you like."));
  const draw = () => {
    const found = node.properties[KEPT];
    if (!found) return element.replaceChildren(hint);
    const chosen = widgetOf(node, "choice").value || found[0].text;
    showLinked(node, "identifier", chosen);
    const focused = element.contains(document.activeElement);
    const chips = found.map((candidate) => chip(node, candidate, chosen, strongest(found)));
    element.replaceChildren(make("div", { class: "db-chips", role: "radiogroup", "aria-label": t("Candidates") }, ...chips));
    element.onkeydown = (event) => turn(event, element);
    if (focused) element.querySelector("[aria-checked=true]")?.focus();
  };
  onOutput(node, KEPT, (found, inputs) => {
    // Of an earlier draw, where the widgets were changed since.
    if (DRAWN_BY.some((name) => name in inputs && inputs[name] !== widgetOf(node, name).value)) return;
    node.properties[KEPT] = found;
    draw();
  });
  after(node, "onConfigure", draw);
  after(widgetOf(node, "choice"), "callback", draw);
  // Other candidates will be drawn: a choice among the old ones is void.
  for (const name of DRAWN_BY) {
    after(widgetOf(node, name), "callback", () => {
      delete node.properties[KEPT];
      setWidget(node, "choice", "");
    });
  }
  draw();
}

const strongest = (found) => Math.max(...found.map((candidate) => candidate.prior ?? 0));

function chip(node, { text, ranks, prior }, chosen, most) {
  const is = text === chosen;
  const strength = prior === null ? t("prior not measured") : t("prior {0}", short(prior));
  const label = `${text}: ${t("rank {0}", ranks.join(" "))}, ${strength}`;
  const meter = make("span", { class: "db-meter", "aria-hidden": "true" });
  if (prior !== null) meter.style.setProperty("--share", prior / most);
  return make(
    "button",
    {
      type: "button",
      class: "db-chip",
      role: "radio",
      "aria-checked": is,
      "aria-label": label,
      title: label,
      tabindex: is ? 0 : -1,
      onclick: () => setWidget(node, "choice", text),
    },
    make("b", {}, text),
    make("small", {}, prior === null ? ranks.join(" ") : prior.toPrecision(3)),
    meter,
  );
}

/** Arrow keys go through the chips, as in any group of radio buttons. */
function turn(event, element) {
  const by = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
  if (!by) return;
  event.preventDefault();
  event.stopPropagation();
  const chips = [...element.querySelectorAll(".db-chip")];
  const at = (chips.indexOf(document.activeElement) + by + chips.length) % chips.length;
  chips[at].click();
}
