/* One photo in large: its caption and its mask are changed here, and whether it is used. */

import { openDialog } from "./dialog.js";
import { MaskCanvas } from "./mask_canvas.js";
import { make } from "./panel.js";
import { ask } from "./routes.js";
import { t } from "./words.js";

const LARGEST_BRUSH = 3;

/**
 * Open the editor of a photo of the report. mask: as the workflow keeps it, undefined where it does not. done: takes
 * { caption, mask, excluded }, each undefined where it was not changed.
 */
export async function editPhoto(folder, photo, mask, done) {
  const [canvas, tools] = await maskOf(folder, photo.name, mask);
  const caption = make("textarea", { rows: "2", maxlength: "3000", placeholder: t("None: the instance prompt is used") });
  caption.value = photo.caption;
  const used = make("input", { type: "checkbox" });
  used.checked = !photo.excluded;
  const finish = () => {
    const text = caption.value.trim().split(/\s+/).join(" ");
    done({
      caption: text === photo.caption ? undefined : text,
      mask: canvas?.changed ? canvas.png() : undefined,
      excluded: used.checked === !photo.excluded ? undefined : !used.checked,
    });
    dialog.close();
  };
  const button = (text, onclick) => make("button", { type: "button", onclick }, text);
  const use = make("label", { class: "db-check" }, used, t("Use this photo"));
  const keep = button(t("Done"), finish);
  keep.classList.add("db-done");
  const row = make("div", { class: "db-row" }, use, button(t("Cancel"), () => dialog.close()), keep);
  const text = make("label", { class: "db-field" }, t("Caption"), caption);
  const label = t("Photo {0}", photo.name);
  const dialog = openDialog(label, { keeps: true }, make("b", {}, photo.name), ...tools, text, row);
  caption.focus();
}

/** [the canvas, what is shown of it]; no canvas, and why, where the photo cannot be read. */
async function maskOf(folder, name, kept) {
  try {
    const found = await ask(`photo?${new URLSearchParams({ folder, name })}`);
    const picture = await loaded(found.picture, name);
    const source = kept ?? found.mask;
    const canvas = new MaskCanvas(picture, source ? await loaded(source, "") : null);
    return [canvas, [canvas.element, toolsOf(canvas)]];
  } catch (error) {
    return [null, [make("p", { class: "db-alert", role: "alert" }, error.message)]];
  }
}

async function loaded(src, alt) {
  const picture = make("img", { src, alt, draggable: "false" });
  await picture.decode();
  return picture;
}

function toolsOf(canvas) {
  const choose = (erases) => {
    canvas.erases = erases;
    paint.setAttribute("aria-pressed", !erases);
    erase.setAttribute("aria-pressed", erases);
  };
  const button = (name, text, onclick) => make("button", { type: "button", class: `db-${name}`, onclick }, text);
  const paint = button("brush", t("Paint"), () => choose(false));
  const erase = button("eraser", t("Erase"), () => choose(true));
  const most = canvas.width * LARGEST_BRUSH;
  const size = make("input", { type: "range", min: "4", max: String(most), value: String(canvas.width), "aria-label": t("Width of the brush") });
  size.addEventListener("input", () => (canvas.width = Number(size.value)));
  const invert = button("invert", t("Invert"), () => canvas.invert());
  const clear = button("clear", t("No mask"), () => canvas.clear());
  choose(false);
  const hint = make("p", { class: "db-hint" }, t("Mask: paint over your subject. What is dark is not learned; without a mask all is."));
  return make("div", { class: "db-tools" }, make("div", { class: "db-row" }, paint, erase, size, invert, clear), hint);
}
