/* ApplyPersonalizedModel: who is being applied, and whether the model is the one it was trained on. */

import { after } from "../callbacks.js";
import { onOutput } from "../outputs.js";
import { addPanel, inputNode, make, showLinked, widgetOf } from "../panel.js";
import { ask } from "../routes.js";
import { t } from "../words.js";
import { facts, thumbnail } from "./subject.js";

const HEIGHT = 210;

export function addCard(node) {
  const element = addPanel(node, "card", t("Subject"), HEIGHT);
  const hint = make("p", { class: "db-hint" }, t("Run once to see the subject."));
  element.append(hint);
  onOutput(node, "dreambooth_card", ([card]) => {
    element.replaceChildren(...shown(card));
    showLinked(node, "trigger", card.trigger);
    showLinked(node, "class_noun", card.class_noun);
  });
  // One that was loaded is known before anything runs.
  const look = async () => {
    const path = loaded(node);
    const card = path && (await ask("history")).find((entry) => entry.path === path);
    if (card && loaded(node) === path) element.replaceChildren(...shown(card));
  };
  after(node, "onConnectionsChange", () => setTimeout(look));
}

function loaded(node) {
  const source = inputNode(node, "personalized_model");
  return source?.comfyClass === "LoadPersonalizedModel" ? widgetOf(source, "personalized_model").value : null;
}

function shown(card) {
  const warning = card.warning ? make("p", { class: "db-alert", role: "alert" }, t(...card.warning)) : null;
  const name = make("b", { class: "db-trigger" }, card.trigger);
  const lines = [...facts(card), t("Class: {0}", card.class_noun), t("Base: {0}", card.base)];
  const text = make("div", { class: "db-text" }, name, ...lines.map((line) => make("span", {}, line)));
  return [warning, make("div", { class: "db-subject" }, thumbnail(card), text)].filter(Boolean);
}
