/* SuggestClassNoun: the nouns as chips; a click writes one into the node of the photos. */

import { nounChips } from "../suggested_nouns.js";
import { onOutput } from "../outputs.js";
import { addPanel, inputNode, make, setWidget, widgetOf } from "../panel.js";
import { t } from "../words.js";

const HEIGHT = 110;
const KEPT = "dreambooth_nouns";

export function addNouns(node) {
  const element = addPanel(node, "nouns", t("What the photos show"), HEIGHT);
  element.append(make("p", { class: "db-hint" }, t("Run once to see the nouns, then click the one that is right.")));
  const draw = (found) => {
    const photos = inputNode(node, "subject");
    const widget = photos && widgetOf(photos, "class_noun");
    const choose = (noun) => widget && (setWidget(photos, "class_noun", noun), draw(found));
    element.replaceChildren(nounChips(found, widget?.value, choose));
  };
  onOutput(node, KEPT, draw);
}
