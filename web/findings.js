/* What probably went wrong in a run, in words, and a button that sets the next one so. */

import { make, setWidget, toast, widgetOf } from "./panel.js";
import { t } from "./words.js";

/** Widgets of other nodes, by the setting: the input that they are linked to, and the widget's name there. */
const ELSEWHERE = {
  priors: ["class_priors", "count"],
  prior_weight: ["options", "prior_weight"],
  batch_size: ["options", "batch_size"],
  accumulation: ["options", "accumulation"],
  checkpointing: ["options", "checkpointing"],
  fit_memory: ["options", "fit_memory"],
  width: ["subject", "resolution"],
};

export class Findings {
  constructor(node) {
    this.node = node;
    this.element = make("div", { class: "db-findings", role: "status", "aria-label": t("What went wrong") });
  }

  show(found) {
    const items = found.map(({ what, advice }) => make("li", {}, make("b", {}, t(...what)), " ", t(...advice)));
    // Of two that ask for one setting the likelier is first.
    const changes = Object.assign({}, ...found.map((one) => one.changes).reverse());
    const button = make("button", { type: "button", onclick: () => this.use(changes) }, t("Set the next run so"));
    this.element.replaceChildren(...(items.length ? [make("ul", {}, ...items)] : []), ...(Object.keys(changes).length ? [button] : []));
  }

  use(changes) {
    const left = Object.entries(changes).filter(([name, value]) => !this.set(name, value));
    const named = left.filter(([name]) => name !== "height").map(([name, value]) => `${name} = ${value}`);
    if (named.length) toast("warn", t("No connected node has this setting: {0}", named.join(", ")));
    else toast("success", t("The next run is set so."));
  }

  /** Whether a widget of this node or of one that is linked to it has taken the value. */
  set(name, value) {
    const [input, other] = ELSEWHERE[name] ?? [null, name];
    const node = input === null ? this.node : this.node.getInputNode(this.node.findInputSlot(input));
    if (!node || !widgetOf(node, other)) return false;
    setWidget(node, other, value);
    return true;
  }
}
