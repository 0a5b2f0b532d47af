/* DreamBoothTrain: phase, losses, speed, samples, and Stop and keep. */

import { after, onceAFrame } from "../callbacks.js";
import { Findings } from "../findings.js";
import { watch } from "../live.js";
import { LossChart } from "../loss_chart.js";
import { onOutput } from "../outputs.js";
import { addPanel, inputNode, make, setWidget, toast, widgetOf } from "../panel.js";
import { onPhotoCount, photoCount } from "../photo_count.js";
import { ask } from "../routes.js";
import { SampleStrip } from "../sample_strip.js";
import { ScoreChart } from "../score_chart.js";
import { duration, t } from "../words.js";

const PHASES = ["priors", "encoding", "training", "sampling", "saving"];
const HEIGHT = 356;
const MOST_POINTS = 1000;
const MOST_HEARD = 200;

export function addTraining(node) {
  const panel = new TrainingPanel(node, addPanel(node, "training", t("Training"), HEIGHT));
  watch(
    node,
    (state) => panel.load(state),
    (kind, data) => panel.hear(kind, data),
    () => node,
    () => panel.lose(),
  );
  watch(
    node,
    (state) => panel.count(state.status === "running" ? state.priors : null),
    (kind, data) => kind === "priors" && panel.count(data),
    () => inputNode(node, "class_priors"),
    () => panel.count(null),
  );
  // What the user chooses, not what a workflow brings: the numbers of a file are its own.
  for (const name of ["preset", "method"]) after(widgetOf(node, name), "callback", () => useNumbers(node));
  for (const name of ["preset", "method", "steps", "learning_rate"]) after(widgetOf(node, name), "callback", panel.later);
  const forget = onPhotoCount(panel.later);
  after(node, "onRemoved", forget);
  after(node, "onConfigure", panel.later);
  onOutput(node, "dreambooth_findings", ([found]) => panel.findings.show(found));
}

/** The numbers of the preset that is chosen: { steps, learning_rate, rank, priors }. */
function numbersOf(node) {
  const { numbers } = node.constructor.nodeData.input.required.preset[1];
  return numbers[widgetOf(node, "preset").value]?.[widgetOf(node, "method").value];
}

function useNumbers(node) {
  const numbers = numbersOf(node);
  if (!numbers) return;
  // 0 is the preset's: its steps are known when the photos are.
  setWidget(node, "steps", numbers.by_photos ? 0 : numbers.steps);
  setWidget(node, "learning_rate", numbers.learning_rate);
}

class TrainingPanel {
  constructor(node, element) {
    this.node = node;
    this.state = null;
    this.heard = [];
    this.drawing = false;
    this.chart = new LossChart();
    this.scores = new ScoreChart();
    this.strip = new SampleStrip((step) => this.choose(step));
    this.phases = make("ol", { class: "db-phases", "aria-label": t("Phase") });
    this.figures = make("div", { class: "db-figures", "aria-live": "off" });
    this.bar = make("progress", { class: "db-bar", max: 1, value: 0, "aria-label": t("Steps done") });
    this.says = make("div", { class: "db-says", role: "status" });
    this.stop = make("button", { type: "button", class: "db-stop", onclick: () => this.stopAndKeep() }, t("Stop and keep"));
    this.stop.title = t("Ends after this step, keeps what was trained, and the rest of the workflow goes on with it.");
    this.later = onceAFrame(() => this.draw());
    this.preset = make("div", { class: "db-figures db-preset" });
    this.warnings = make("ul", { class: "db-warnings", "aria-label": t("Warnings"), role: "alert" });
    this.findings = new Findings(node);
    const foot = make("div", { class: "db-row" }, this.says, this.stop);
    element.append(this.preset, this.phases, this.chart.element, this.scores.element);
    const notices = make("div", { class: "db-notices" }, this.warnings, this.findings.element);
    element.append(this.figures, this.bar, this.strip.element, notices, foot);
    this.draw();
  }

  /** The state is as old as its way here: what was heard since then is taken in once more. */
  load(state) {
    if (this.state?.prompt !== state.prompt) {
      this.warnings.replaceChildren();
      this.findings.show([]);
    }
    this.state = state;
    for (const [kind, data] of this.heard.splice(0)) if (kind !== "phase") this.take(kind, data);
    this.later();
  }

  /** The host was restarted: a run that it worked on has ended without a word. */
  lose() {
    if (this.state?.status !== "running") return;
    this.state.status = "lost";
    this.later();
  }

  hear(kind, data) {
    this.heard = [...this.heard.slice(1 - MOST_HEARD), [kind, data]];
    if (kind === "warned") toast("warn", t(...data.warning));
    this.take(kind, data);
  }

  take(kind, data) {
    const state = this.state;
    if (!state || state.prompt !== data.prompt) return;
    if (kind === "step") this.step(data);
    if (kind === "phase") state.phase = data.phase;
    if (kind === "sample" && !state.samples.some((sample) => sample.step === data.step)) state.samples.push(data);
    if (kind === "scored") state.scores = [...state.scores.filter((scored) => scored.step < data.step), data];
    if (kind === "validated") state.validation = [...state.validation.filter((one) => one.step < data.step), data];
    if (kind === "saved") Object.assign(state, { file: data.file, status: data.status, phase: data.phase });
    if (kind === "planned") state.plan = data.text;
    if (kind === "warned" && !state.warnings.some((told) => `${told}` === `${data.warning}`)) state.warnings.push(data.warning);
    this.later();
  }

  /** Class pictures are drawn by another node, and are the first part of the training all the same. */
  count(counted) {
    this.drawing = !!counted && counted.reused + counted.drawn < counted.asked;
    this.later();
  }

  step(data) {
    const { points } = this.state;
    if (data.step <= this.state.step) return;
    Object.assign(this.state, data, { phase: "training" });
    points.push([data.step, data.instance, data.prior]);
    if (points.length > 2 * MOST_POINTS) this.state.points = points.filter((_, index) => index % 2 === 0);
  }

  async stopAndKeep() {
    const { node, prompt } = this.state;
    this.state.stop_asked = true;
    this.draw();
    try {
      await ask("stop", { node, prompt });
    } catch (error) {
      this.state.stop_asked = false;
      toast("error", error.message);
      this.draw();
    }
  }

  /** Make a step the run's result. */
  async choose(step) {
    try {
      const { file } = await ask("choose", { run: this.state.run, step });
      Object.assign(this.state, { file, result_step: step });
      toast("success", t("Step {0} is the result now: {1}. Run takes it into the workflow.", step, file));
    } catch (error) {
      toast("error", error.message);
    }
    this.draw();
  }

  draw() {
    const state = this.state;
    const runs = state?.status === "running";
    this.drawPhases(runs ? state.phase : this.drawing ? "priors" : null);
    this.stop.disabled = !runs || state.stop_asked || state.phase === "saving";
    this.chart.element.closest(".db-panel").dataset.status = state?.status ?? "idle";
    this.figures.replaceChildren(...figures(state).map((text) => make("span", {}, text)));
    this.preset.title = t("advised: {0} class images", numbersOf(this.node)?.priors ?? "–");
    this.preset.replaceChildren(...presetLine(this.node).map((text) => make("span", {}, text)));
    const said = this.drawing && !runs ? t("Class images are drawn first.") : summary(state);
    if (this.says.textContent !== said) this.says.textContent = said;
    this.says.title = said;
    if (!state) return;
    this.chart.draw(state.points, state.steps, state.validation);
    this.scores.draw(state.scores, state.steps);
    // Where the scores choose none it is the last step.
    const result = state.result_step ?? (state.status === "running" ? null : (state.scores.at(-1)?.chosen ?? state.step));
    this.strip.draw(state.samples, state.folder, state.prompt, state.scores, state.choices, result);
    this.bar.value = state.steps ? state.step / state.steps : 0;
    // Only what is new is read aloud.
    for (const told of state.warnings.slice(this.warnings.children.length)) this.warnings.append(make("li", {}, t(...told)));
    while (this.warnings.children.length > state.warnings.length) this.warnings.lastChild.remove();
  }

  drawPhases(now) {
    const items = PHASES.map((phase) =>
      make("li", { "aria-current": phase === now ? "step" : null, "data-phase": phase }, phaseNames()[phase]),
    );
    this.phases.replaceChildren(...items);
  }
}

function phaseNames() {
  return { priors: t("Class images"), encoding: t("Encoding"), training: t("Training"), sampling: t("Sampling"), saving: t("Saving") };
}

/** The preset's steps, for as many photos as are connected; of some number where that is not known. */
function presetSteps(node, { steps, by_photos: by }) {
  const count = by && photosBehind(node);
  if (!count) return steps;
  const lora = Math.min(Math.max(by.each * count, by.least), by.most);
  return widgetOf(node, "method").value === "full" ? Math.floor(lora / 2) : lora;
}

/** How many photos the panel of the connected photos shows, also behind a node that changes them. */
function photosBehind(node) {
  const source = inputNode(node, "subject");
  if (!source) return null;
  return source.comfyClass === "LoadInstanceImages" ? photoCount(source) : photosBehind(source);
}

/** What the preset and the widgets come to. */
function presetLine(node) {
  const numbers = numbersOf(node);
  if (!numbers) return [];
  const steps = widgetOf(node, "steps").value || presetSteps(node, numbers);
  const rate = widgetOf(node, "learning_rate").value || numbers.learning_rate;
  const parts = [t("{0} steps", steps), t("rate {0}", rate.toExponential().replace("+", ""))];
  const options = inputNode(node, "options");
  const chosen = Number(options && widgetOf(options, "rank")?.value);
  if (widgetOf(node, "method").value === "lora") parts.push(t("rank {0}", chosen || numbers.rank));
  return parts;
}

function figures(state) {
  if (!state?.step) return ["–"];
  const steps = t("Step {0} of {1}", state.step, state.steps);
  const speed = t("{0} steps/s", state.steps_per_second.toFixed(state.steps_per_second < 10 ? 2 : 0));
  const left = state.seconds_left === null ? "" : t("{0} left", duration(state.seconds_left));
  return state.status === "running" ? [steps, speed, left] : [steps, speed];
}

function summary(state) {
  if (!state) return t("Queue the workflow to train.");
  if (state.status === "finished") return t("Finished: {0}", state.file);
  if (state.status === "kept") return t("Stopped and kept: {0}", state.file);
  if (state.status === "stopped") return t("Cancelled, saved as {0}. Run goes on from there.", state.file);
  if (state.status === "lost") return t("ComfyUI has lost this run. Run goes on from its last saved state.");
  if (state.status !== "running") return t("Ended before a file was saved.");
  if (state.stop_asked) return t("Stopping after this step …");
  return state.resumed ? t("Goes on after step {0}.", state.resumed) : state.plan;
}
