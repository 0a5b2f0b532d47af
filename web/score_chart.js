/* Likeness, prompt following, class leak and variety by step, 0 to 1, and the step that is the result so far. */

import { make } from "./panel.js";
import { t } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 1000;
const HEIGHT = 240;
const SERIES = [
  { name: "likeness", label: () => t("Likeness") },
  { name: "prompt_following", label: () => t("Prompt following") },
  { name: "class_leak", label: () => t("Class leak") },
  { name: "variety", label: () => t("Variety") },
];

export class ScoreChart {
  constructor() {
    this.svg = document.createElementNS(SVG, "svg");
    this.svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    this.svg.setAttribute("preserveAspectRatio", "none");
    this.svg.setAttribute("role", "img");
    this.legend = make("div", { class: "db-legend" });
    this.element = make("div", { class: "db-chart db-scores", hidden: "" }, this.legend, make("div", { class: "db-plot" }, this.svg));
  }

  /** scores: [{ step, likeness, …, chosen }] by step; steps: how many there will be. Hidden without any. */
  draw(scores, steps) {
    this.element.hidden = !scores.length;
    if (!scores.length) return;
    const x = (step) => (WIDTH * step) / Math.max(steps, scores.at(-1).step);
    const lines = SERIES.map(({ name }) => path(`db-smooth db-${name}`, joined(scores, name, x)));
    const { chosen } = scores.at(-1);
    if (chosen !== null) lines.push(path("db-chosen", `M${x(chosen)} 0V${HEIGHT}`));
    this.svg.replaceChildren(...lines);
    this.svg.dataset.points = scores.length;
    this.svg.setAttribute("aria-label", figures(scores.at(-1)));
    const keys = SERIES.map(({ name, label }) =>
      make("span", { class: `db-key db-${name}` }, label(), " ", make("b", {}, hundredths(scores.at(-1)[name]))),
    );
    const best = chosen === null ? t("no step chosen") : t("chosen: step {0}", chosen);
    this.legend.replaceChildren(...keys, make("span", { class: "db-at" }, best));
  }
}

/** The scores of one step in words. */
export function figures(scores) {
  return SERIES.map(({ name, label }) => `${label()} ${hundredths(scores[name])}`).join(", ");
}

const hundredths = (score) => (score === null || score === undefined ? "–" : score.toFixed(2));

function joined(scores, name, x) {
  const places = scores
    .filter((scored) => scored[name] !== null)
    .map((scored) => `${x(scored.step).toFixed(1)} ${(HEIGHT * (1 - Math.min(1, Math.max(0, scored[name])))).toFixed(1)}`);
  // One score alone is a point, which a path of no length with round ends shows.
  return places.length === 1 ? `M${places[0]}h0.1` : `M${places.join("L")}`;
}

function path(kind, drawn) {
  const element = document.createElementNS(SVG, "path");
  element.setAttribute("class", kind);
  element.setAttribute("d", drawn);
  return element;
}
