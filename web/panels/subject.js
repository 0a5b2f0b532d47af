/* What a trained subject says of itself, as the card and the history show it. */

import { make } from "../panel.js";
import { photos, t } from "../words.js";

export function thumbnail(card) {
  if (card.thumbnail) return make("img", { class: "db-picture", src: card.thumbnail, alt: t("Sample of {0}", card.trigger) });
  return make("div", { class: "db-picture db-none", "aria-hidden": "true" }, "?");
}

export function facts(card) {
  return [t("{0}, {1} steps", card.method, card.steps), t("{0}, {1} class images", photos(card.photos), card.priors)];
}

/** The settings by name, as a list of terms. */
export function settings(card) {
  const rows = Object.entries({ ...card.settings, seed: card.seed, base: card.base });
  const terms = rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, said(value))]);
  return make("dl", { class: "db-settings" }, ...terms);
}

function said(value) {
  if (value === null || value === "") return "–";
  return typeof value === "object" ? Object.values(value).join(" · ") : String(value);
}
