/* Class nouns that fit the photos: the graph's own model is asked, in a run of its own; a click on one fills it in. */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { after } from "./callbacks.js";
import { make, setWidget, toast, widgetOf } from "./panel.js";
import { t } from "./words.js";

const ASKED = "dreambooth_nouns";
const PARTS = ["model", "clip", "vae"];

/** The nouns as chips, `[{ noun, odds }]`; `choose(noun)` is called with the one that is clicked. */
export function nounChips(found, chosen, choose) {
  const chips = found.map(({ noun, odds }) => {
    const share = odds < 0.01 ? "<1%" : `${Math.round(100 * odds)}%`;
    const meter = make("span", { class: "db-meter", "aria-hidden": "true" });
    meter.style.setProperty("--share", odds);
    const label = t("{0}: odds {1}", noun, share);
    const state = { class: "db-chip", type: "button", "aria-pressed": String(noun === chosen), "aria-label": label };
    return make("button", { ...state, title: label, onclick: () => choose(noun) }, make("b", {}, noun), make("small", {}, share), meter);
  });
  return make("div", { class: "db-chips db-nouns", role: "group", "aria-label": t("What the photos show") }, ...chips);
}

/** A button on a node of photos that asks for nouns, and the row where their chips appear. */
export function addNounSuggestions(node) {
  const row = make("div", { class: "db-suggested", hidden: "" });
  const button = make("button", { type: "button", class: "db-suggest" }, t("Suggest noun"));
  button.title = t("The model that these photos go to is asked what they show. A click on an answer fills it in.");
  const draw = (found) => {
    const chosen = widgetOf(node, "class_noun").value;
    const choose = (noun) => (setWidget(node, "class_noun", noun), draw(found));
    row.replaceChildren(nounChips(found, chosen, choose));
    row.hidden = false;
  };
  button.addEventListener("click", async () => {
    button.disabled = true;
    button.textContent = t("Asking the model …");
    try {
      draw(await askForNouns(node));
    } catch (error) {
      toast("error", error.message);
    }
    button.disabled = false;
    button.textContent = t("Suggest noun");
  });
  // Of other photos these are no answers.
  for (const name of ["folder", "edits"]) after(widgetOf(node, name), "callback", () => (row.hidden = true));
  return { button, row };
}

/** Run Suggest Class Noun on a node's photos, with the model that they go to. Throws an Error with what is in the way. */
async function askForNouns(node) {
  const { output, workflow } = await app.graphToPrompt();
  const photos = Object.keys(output).find((id) => output[id].class_type === node.comfyClass && id.split(":").pop() === String(node.id));
  const trains = Object.values(output).filter(({ inputs }) => PARTS.every((name) => Array.isArray(inputs[name])));
  const model = trains.find(({ inputs }) => above(output, inputs.subject).has(photos)) ?? trains[0];
  if (!photos || !model) throw new Error(t("Connect these photos to Generate Class Images or DreamBooth Train, with a model, CLIP and VAE."));
  const inputs = { subject: [photos, 0], nouns: "" };
  for (const name of PARTS) inputs[name] = model.inputs[name];
  const needed = new Set(Object.values(inputs).flatMap((link) => [...above(output, link)]));
  const asked = Object.fromEntries(Object.entries(output).filter(([id]) => needed.has(id)));
  asked[ASKED] = { class_type: "SuggestClassNoun", inputs, _meta: { title: "Suggest Class Noun" } };
  return answerTo(() => api.queuePrompt(0, { output: asked, workflow }));
}

/** The nodes of a prompt that a link comes from, as a set of ids. */
function above(output, link, found = new Set()) {
  if (!Array.isArray(link) || found.has(link[0]) || !output[link[0]]) return found;
  found.add(link[0]);
  for (const value of Object.values(output[link[0]].inputs)) above(output, value, found);
  return found;
}

/** What a prompt that is queued now answers. Throws an Error where it fails or is cancelled. */
function answerTo(queue) {
  const ends = { executed: null, execution_error: null, execution_interrupted: null };
  let prompt = null;
  const early = [];
  return new Promise((resolve, reject) => {
    const hear = (kind, detail) => {
      if (prompt === null) return early.push([kind, detail]);
      if (detail.prompt_id !== prompt) return;
      if (kind === "executed" && detail.node !== ASKED) return;
      for (const [name, listener] of Object.entries(ends)) api.removeEventListener(name, listener);
      if (kind === "executed") resolve(detail.output[ASKED]);
      else reject(new Error(detail.exception_message ?? t("The question was cancelled.")));
    };
    for (const kind of Object.keys(ends)) {
      ends[kind] = ({ detail }) => hear(kind, detail);
      api.addEventListener(kind, ends[kind]);
    }
    queue().then((queued) => {
      prompt = queued.prompt_id;
      early.forEach(([kind, detail]) => hear(kind, detail));
    }, (error) => reject(new Error(error.message)));
  });
}
