/* MeasureFidelity: the scores of each picture as a table, the photos' own likeness below. */

import { onOutput } from "../outputs.js";
import { addPanel, make } from "../panel.js";
import { t } from "../words.js";

const HEIGHT = 230;
const WIDTH = 400;
const COLUMNS = ["likeness", "prompt_following", "variety"];

export function addFidelity(node) {
  const element = addPanel(node, "fidelity", t("Scores"), HEIGHT);
  node.setSize([Math.max(WIDTH, node.size[0]), node.size[1]]);
  element.append(make("p", { class: "db-hint" }, t("Run to measure the pictures.")));
  onOutput(node, "dreambooth_fidelity", ([found]) => element.replaceChildren(make("div", { class: "db-scroll" }, table(found))));
}

/** found: { pictures: [{ likeness, prompt_following, variety, returns_photo }], real, scorer }. */
function table({ pictures, real, scorer }) {
  const heads = ["", t("Likeness"), t("Prompt following"), t("Variety"), t("Returns the photo")];
  const rows = pictures.map((one, index) =>
    row(String(index + 1), ...COLUMNS.map((name) => one[name]), one.returns_photo === null ? null : one.returns_photo ? t("yes") : t("no")),
  );
  const means = COLUMNS.map((name) => mean(pictures.map((one) => one[name])));
  const returned = pictures.filter((one) => one.returns_photo).length;
  const counted = pictures[0].returns_photo === null ? null : t("{0} of {1}", returned, pictures.length);
  const foot = make("tfoot", {}, row(t("mean"), ...means, counted));
  const caption = make("caption", {}, t("Likeness of the photos to each other: {0}. Measured by: {1}.", shown(real), scorer));
  const head = make("thead", {}, make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text))));
  return make("table", { class: "db-table" }, caption, head, make("tbody", {}, ...rows), foot);
}

function row(name, ...values) {
  return make("tr", {}, make("th", { scope: "row" }, name), ...values.map((value) => make("td", {}, shown(value))));
}

function shown(value) {
  if (value === null) return "–";
  return typeof value === "number" ? value.toFixed(3) : value;
}

const mean = (values) => (values.includes(null) ? null : values.reduce((sum, value) => sum + value, 0) / values.length);
