/* Inputs that are rarely changed, folded away where the host does not fold them: only a later Nodes 2.0 does by itself. */

import { app } from "../../scripts/app.js";
import { after } from "./callbacks.js";
import { t } from "./words.js";

/** Fold the inputs that the server calls advanced, and add the button that shows them; none where there are none. */
export function foldAdvanced(node) {
  const { input = {} } = node.constructor.nodeData;
  const rare = Object.values(input).flatMap((section) => Object.entries(section ?? {}).filter(([, spec]) => spec[1]?.advanced));
  const names = new Set(rare.map(([name]) => name));
  const folded = (node.widgets ?? []).filter((widget) => names.has(widget.name));
  if (!folded.length) return;
  const options = { serialize: false, canvasOnly: nodes2Folds() };
  const button = node.addWidget("button", t("More settings"), null, () => toggle(node, folded, button), options);
  button.serialize = false;
  after(node, "onConfigure", () => fold(node, folded, button));
  fold(node, folded, button);
  node.setSize([node.size[0], node.computeSize()[1]]);
}

/** Whether Nodes 2.0 of this host folds by itself, with a button of its own. */
export const nodes2Folds = () => app.extensionManager.setting.get("Comfy.Node.AlwaysShowAdvancedWidgets") !== undefined;

function fold(node, folded, button) {
  for (const widget of folded) {
    widget.hidden = !node.showAdvanced;
    // The canvas keeps the room of a hidden widget, unless it has none: 4 pixels are added to a height.
    if (widget.hidden) widget.computeSize = () => [0, -4];
    else delete widget.computeSize;
    if (!nodes2Folds()) widget.options.hidden = widget.hidden;
  }
  // The first Nodes 2.0 shows a button's name, the canvas its label.
  button.name = button.label = node.showAdvanced ? t("Fewer settings") : t("More settings");
}

function toggle(node, folded, button) {
  const before = node.computeSize()[1];
  node.showAdvanced = !node.showAdvanced;
  fold(node, folded, button);
  node.setSize([node.size[0], node.size[1] + node.computeSize()[1] - before]);
  node.setDirtyCanvas(true, true);
}
