/* CheckThisMachine: the report, and a button that copies it. */

import { onOutput } from "../outputs.js";
import { addPanel, make, toast } from "../panel.js";
import { t } from "../words.js";

const HEIGHT = 320;
const WIDTH = 600;

export function addReport(node) {
  const element = addPanel(node, "report", t("Report"), HEIGHT);
  node.setSize([Math.max(WIDTH, node.size[0]), node.size[1]]);
  element.replaceChildren(make("p", { class: "db-hint" }, t("Run to check this machine: 5 minutes at most.")));
  onOutput(node, "dreambooth_report", ([text]) => {
    const copy = make("button", { type: "button", onclick: () => copied(text) }, t("Copy the report"));
    element.replaceChildren(copy, make("pre", { class: "db-report-text", tabindex: "0" }, text));
  });
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast("success", t("The report is copied."));
  } catch {
    // A page that is not served from this machine may not write to the clipboard.
    toast("warn", t("The browser does not let the page copy: select the text by hand."));
  }
}
