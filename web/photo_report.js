/* What a folder of photos holds and how often each photo is shown, before anything is trained. */

import { openDialog } from "./dialog.js";
import { make } from "./panel.js";
import { faultNames } from "./photo_tiles.js";
import { photos as photosOf, t } from "./words.js";

const STEPS = 100;

/** Open the report of the server in a dialog. */
export function showReport(report) {
  const close = make("button", { type: "button", onclick: () => dialog.close() }, t("Close"));
  const lines = [...summary(report), ...report.notes.map(inWords)].map((line) => make("li", {}, line));
  const table = make("div", { class: "db-scroll" }, tableOf(report.photos));
  const list = make("ul", { class: "db-summary" }, ...lines);
  const dialog = openDialog(t("Report on the photos"), {}, make("b", {}, t("Report on the photos")), list, table, make("div", { class: "db-row" }, close));
  close.focus();
}

function summary({ count, excluded, photos, captions, masks, faults, subjects, sizes }) {
  const several = subjects.filter((one) => one.identifier);
  const found = Object.entries(faults).map(([name, number]) => `${faultNames()[name]}: ${number}`);
  const used = excluded ? `${photosOf(count)} · ${t("left out: {0}", excluded)}` : photosOf(count);
  return [
    used,
    ...several.map((one) => `${one.folder}: ${one.identifier} ${one.class_noun}, ${photosOf(one.photos)}`),
    t("Trained as: {0}", sizes.map(([width, height, number]) => `${number} × (${width} × ${height})`).join(", ") || "–"),
    t("Captions: {0} of {1}. Masks: {2} of {1}.", captions, count, masks),
    found.length ? found.join(", ") : t("no faults found"),
    ...(photos.length < count + excluded ? [t("the first {0} are shown", photos.length)] : []),
  ];
}

function tableOf(photos) {
  const heads = [t("Photo"), t("Pixels"), t("Trained as"), t("Shown in 100 steps"), t("Mask"), t("Caption"), t("Faults")];
  return make(
    "table",
    { class: "db-table" },
    make("thead", {}, make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text)))),
    make("tbody", {}, ...photos.map(row)),
  );
}

function row({ name, pixels, size, share, mask, caption, faults, excluded }) {
  const shown = excluded ? t("not used") : String(Math.round(share * STEPS * 10) / 10);
  const cells = [pixels?.join(" × ") ?? "–", size?.join(" × ") ?? "–", shown, mask ? t("yes") : "–", caption || "–"];
  const found = faults.map((fault) => faultNames()[fault.name]).join(", ") || "–";
  return make("tr", {}, make("th", { scope: "row" }, name), ...[...cells, found].map((text) => make("td", {}, text)));
}

/** A note of the server, "what: names", in the page's language. */
export function inWords(note) {
  const [what, ...names] = note.split(": ");
  const words = {
    "captions that are not read, because there are others": t("captions that are not read, because there are others"),
    "captions without a photo of their name": t("captions without a photo of their name"),
    "passed over": t("passed over"),
    "photos whose caption is empty, as if they had none": t("photos whose caption is empty, as if they had none"),
  };
  return [words[what] ?? what, ...names].join(": ");
}
