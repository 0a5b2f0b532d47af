/* ExportPersonalizedModel: where the file is. */

import { onOutput } from "../outputs.js";
import { addPanel, make } from "../panel.js";
import { t } from "../words.js";

const HEIGHT = 84;

export function addExport(node) {
  const element = addPanel(node, "export", t("The file"), HEIGHT);
  element.append(make("p", { class: "db-hint" }, t("Run to write the file; its place is shown here.")));
  onOutput(node, "dreambooth_file", ([path, ...warnings]) => {
    const told = warnings.map((warning) => make("li", {}, warning));
    element.replaceChildren(make("p", { class: "db-path" }, path), make("ul", { class: "db-warnings" }, ...told));
  });
}
