/* What the panels say. Keys are the English text, here or in a `Wording` of the server; a language is a table from them. */

import { app } from "../../scripts/app.js";
import ja from "./words/ja.js";
import zh from "./words/zh.js";

const LANGUAGES = { ja, zh };

/** The text in the page's language, `{0}`, `{1}` … replaced by the values. */
export function t(text, ...values) {
  const language = app.extensionManager?.setting?.get("Comfy.Locale") ?? "en";
  const found = LANGUAGES[language]?.[text] ?? text;
  return found.replace(/\{(\d)\}/g, (_, index) => String(values[index]));
}

/** How many photos. */
export function photos(count) {
  return count === 1 ? t("1 photo") : t("{0} photos", count);
}

/** Seconds as people say them. */
export function duration(seconds) {
  if (seconds < 60) return t("{0} s", Math.ceil(seconds));
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return t("{0} min", minutes);
  return t("{0} h {1} min", Math.floor(minutes / 60), minutes % 60);
}

/** A loss or another small number in four characters or so. */
export function short(value) {
  if (value === null || value === undefined) return "–";
  return Math.abs(value) >= 0.001 || value === 0 ? value.toFixed(value >= 100 ? 0 : 4) : value.toExponential(1);
}
