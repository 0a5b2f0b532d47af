/* Samples by step, small in a row; one is looked at in full size, with the arrow keys to go on. */

import { api } from "../../scripts/api.js";
import { openDialog } from "./dialog.js";
import { make } from "./panel.js";
import { figures } from "./score_chart.js";
import { t } from "./words.js";

export class SampleStrip {
  /** choose: makes a step the run's result. */
  constructor(choose) {
    this.choose = choose;
    this.hint = make("span", { class: "db-hint" }, t("Samples appear here, by step."));
    this.element = make("div", { class: "db-strip", role: "list", "aria-label": t("Samples by step") }, this.hint);
    this.shown = "";
  }

  /**
   * samples: [{ step, text, count }]; folder: where the server keeps them; run: a word that changes with the run;
   * scores: of steps that were scored; choices: the steps that can be made the result; result: the step that is it.
   */
  draw(samples, folder, run, scores, choices, result) {
    const key = JSON.stringify([samples, folder, run, scores, choices, result]);
    if (key === this.shown) return;
    this.shown = key;
    Object.assign(this, { choices, result });
    const scored = new Map(scores.map((one) => [one.step, one]));
    this.samples = samples.map((sample) => ({ ...sample, urls: urls(sample, folder, run), scores: scored.get(sample.step) }));
    const thumbs = this.samples.map((sample, index) => this.thumb(sample, index));
    this.element.replaceChildren(...(thumbs.length ? thumbs : [this.hint]));
    this.element.scrollLeft = this.element.scrollWidth;
  }

  thumb(sample, index) {
    const label = t("Samples at step {0}, enlarge", sample.step);
    const picture = make("img", { src: sample.urls[0], alt: "", loading: "lazy", draggable: "false" });
    const caption = make("span", { class: "db-step" }, sample.step === this.result ? `★ ${sample.step}` : String(sample.step));
    const button = make(
      "button",
      { type: "button", class: "db-thumb", title: sample.text || label, "aria-label": label, onclick: () => this.open(index) },
      picture,
      caption,
    );
    return make("div", { role: "listitem" }, button);
  }

  open(index) {
    const caption = make("p", { class: "db-caption" });
    const pictures = make("div", { class: "db-pictures" });
    const choose = make("button", { type: "button", class: "db-choose" });
    choose.addEventListener("click", async () => {
      choose.disabled = true;
      await this.choose(this.samples[index].step);
      show(index);
    });
    const show = (next) => {
      index = (next + this.samples.length) % this.samples.length;
      const { step, text, urls: shown, scores } = this.samples[index];
      pictures.replaceChildren(...shown.map((src) => make("img", { src, alt: t("Sample at step {0}", step) })));
      this.label(choose, step);
      caption.textContent = [t("step {0}", step), text, scores && figures(scores)].filter(Boolean).join(" · ");
    };
    const turn = (by, label, sign) =>
      make("button", { type: "button", "aria-label": label, onclick: () => show(index + by) }, sign);
    const close = make("button", { type: "button", onclick: () => dialog.close() }, t("Close"));
    const buttons = make("div", { class: "db-row" }, turn(-1, t("Earlier"), "‹"), turn(1, t("Later"), "›"), choose, close);
    const onkey = (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (by) show(index + by);
    };
    show(index);
    const dialog = openDialog(t("Samples by step"), { onkey }, pictures, caption, buttons);
    close.focus();
  }

  /** What the button says of a step; hidden where the step has no file to choose. */
  label(button, step) {
    const is = step === this.result;
    button.hidden = !is && !this.choices.includes(step);
    button.disabled = is;
    button.textContent = is ? t("This is the result") : t("Make this the result");
  }
}

function urls({ step, count }, subfolder, run) {
  const name = (index) => `step_${String(step).padStart(6, "0")}_${index}.png`;
  return Array.from({ length: count }, (_, index) => {
    const query = new URLSearchParams({ filename: name(index), subfolder, type: "output", run });
    return api.apiURL(`/view?${query}`);
  });
}
