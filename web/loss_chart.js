/* Two losses by step: raw behind, smoothed in front; and the loss on a photo that is held out, where one is. */

import { make } from "./panel.js";
import { short, t } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 1000;
const HEIGHT = 400;
const SERIES = [
  { name: "instance", index: 1, label: () => t("Instance loss") },
  { name: "prior", index: 2, label: () => t("Prior loss") },
];

export class LossChart {
  constructor() {
    this.svg = document.createElementNS(SVG, "svg");
    this.svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    this.svg.setAttribute("preserveAspectRatio", "none");
    this.svg.setAttribute("role", "img");
    this.top = make("span", { class: "db-tick db-tick-top" });
    this.bottom = make("span", { class: "db-tick db-tick-bottom" });
    this.legend = make("div", { class: "db-legend" });
    this.marker = make("div", { class: "db-marker", hidden: "" });
    this.plot = make("div", { class: "db-plot" }, this.svg, this.top, this.bottom, this.marker);
    this.element = make("div", { class: "db-chart" }, this.legend, this.plot);
    this.plot.addEventListener("pointermove", (event) => this.pointAt(event));
    this.plot.addEventListener("pointerleave", () => this.say(null));
    this.draw([], 0);
  }

  /**
   * points: [step, instance, prior or null] by step; steps: how many there will be; validation: [{ step, loss, base }] of
   * the photo that is held out.
   */
  draw(points, steps, validation = []) {
    this.points = points;
    this.validation = validation;
    this.steps = Math.max(steps, points.at(-1)?.[0] ?? 0, 2);
    this.svg.dataset.points = points.length;
    const smooth = SERIES.map(({ index }) => smoothed(points, index));
    this.smooth = smooth;
    const held = validation.map(({ step, loss }) => [step, loss]);
    this.range = rangeOf([...smooth, held]);
    this.top.textContent = points.length ? short(this.range[1]) : "";
    this.bottom.textContent = points.length ? short(this.range[0]) : "";
    this.svg.replaceChildren(
      ...[0.25, 0.5, 0.75].map((share) => line("db-grid", `M0 ${HEIGHT * share}H${WIDTH}`)),
      ...SERIES.map(({ name, index }) => line(`db-raw db-${name}`, this.path(points, index))),
      ...SERIES.map(({ name }, number) => line(`db-smooth db-${name}`, this.path(smooth[number], 1))),
      ...(held.length ? [line("db-smooth db-validation", this.path(held, 1))] : []),
    );
    this.say(null);
  }

  path(rows, index) {
    const [low, high] = this.range;
    let joined = "";
    let pen = "M";
    for (const row of rows) {
      if (row[index] === null) {
        pen = "M";
        continue;
      }
      const y = (HEIGHT * (high - row[index])) / (high - low);
      joined += `${pen}${this.x(row[0]).toFixed(1)} ${y.toFixed(1)}`;
      pen = "L";
    }
    return joined;
  }

  x(step) {
    return (WIDTH * (step - 1)) / (this.steps - 1);
  }

  pointAt(event) {
    if (!this.points.length) return;
    const box = this.plot.getBoundingClientRect();
    const step = 1 + ((event.clientX - box.left) / box.width) * (this.steps - 1);
    const found = this.points.findIndex((point) => point[0] >= step);
    this.say(found < 0 ? this.points.length - 1 : found);
  }

  /** The legend, with the values at one point, or the latest ones. */
  say(at) {
    const index = at ?? this.points.length - 1;
    const step = this.points[index]?.[0];
    this.marker.hidden = at === null;
    if (at !== null) this.marker.style.left = `${(100 * this.x(step)) / WIDTH}%`;
    const value = ({ index: column }) => this.smooth[column - 1][index]?.[1] ?? null;
    // A training without class images has no prior loss.
    const series = SERIES.filter(({ index: column }) => !this.points.length || this.points.some((point) => point[column] !== null));
    const shown = series.map((one) => make("span", { class: `db-key db-${one.name}` }, one.label(), " ", make("b", {}, short(value(one)))));
    if (this.validation.length) shown.push(this.held(at === null ? null : step));
    this.legend.replaceChildren(...shown, make("span", { class: "db-at" }, at === null ? "" : t("step {0}", step)));
    const said = series.map((one) => `${one.label()} ${short(value(one))}`).join(", ");
    this.svg.setAttribute("aria-label", step ? `${t("step {0}", step)}: ${said}` : t("No losses yet"));
  }

  /** The key of the validation loss, the latest up to a step, or of all. */
  held(step) {
    const found = this.validation.filter((one) => step === null || one.step <= step).at(-1);
    const key = make("span", { class: "db-key db-validation" }, t("Validation loss"), " ", make("b", {}, short(found?.loss)));
    key.title = found ? t("the base's: {0}", short(found.base)) : "";
    return key;
  }
}

/** Exponential means over about an eighth of the points so far, 100 at most, without a pull to the start: [step, value]. */
function smoothed(points, index) {
  const keep = 1 - 1 / Math.max(2, Math.min(100, points.length / 8));
  let sum = 0;
  let weight = 0;
  return points.map((point) => {
    if (point[index] === null) return [point[0], null];
    sum = keep * sum + (1 - keep) * point[index];
    weight = keep * weight + (1 - keep);
    return [point[0], sum / weight];
  });
}

/**
 * The bottom and top of the axis: the smoothed lines fill nine tenths of it, whatever single steps do beyond it.
 * Their first steps, where a single loss is the whole mean, do not count.
 */
function rangeOf(smooth) {
  const settled = smooth.flatMap((rows) => rows.slice(Math.min(20, Math.floor(rows.length / 4))));
  const values = settled.map((row) => row[1]).filter((value) => value !== null);
  if (!values.length) return [0, 1];
  const low = values.reduce((one, other) => Math.min(one, other));
  const high = values.reduce((one, other) => Math.max(one, other));
  const room = 0.05 * (high - low) || 0.5 * Math.abs(high) || 1;
  return [Math.max(0, low - room), high + room];
}

function line(kind, path) {
  const element = document.createElementNS(SVG, "path");
  element.setAttribute("class", kind);
  element.setAttribute("d", path);
  return element;
}
