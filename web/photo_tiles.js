/* The photos of a folder, small: what is wrong with each, its caption; clicked, left out, removed, moved. */

import { make } from "./panel.js";
import { t } from "./words.js";

const FEWEST_PIXELS = 6;

/** One photo. can: { open, exclude, remove (null where it cannot be), move (by so many places) }. */
export function tile(photo, can) {
  const { name, thumbnail, faults, caption, excluded } = photo;
  const picture = thumbnail
    ? make("img", { src: thumbnail, alt: name, draggable: "false" })
    : make("div", { class: "db-none" }, "×");
  const badges = faults.map((fault) => make("span", { class: "db-badge" }, faultNames()[fault.name]));
  if (excluded) badges.unshift(make("span", { class: "db-badge db-unused" }, t("not used")));
  const below = caption ? make("span", { class: "db-written" }, caption) : null;
  const item = make(
    "li",
    {
      class: excluded ? "db-photo db-excluded" : "db-photo",
      title: [faults.map((fault) => t(...fault.why)).join("\n") || name, ...(caption ? [caption] : [])].join("\n"),
      "aria-label": labelOf(photo),
      "data-name": name,
      tabindex: 0,
      onclick: can.open,
      onkeydown: (event) => keyed(event, can),
    },
    picture,
    make("div", { class: "db-badges" }, ...badges),
    below,
    corner("db-exclude", excluded ? t("Use {0}", name) : t("Leave out {0}", name), excluded ? "+" : "−", can.exclude),
    can.remove && corner("db-remove", t("Remove {0}", name), "×", can.remove),
  );
  dragged(item, can);
  return item;
}

function labelOf({ name, faults, caption, excluded }) {
  const said = faults.map((fault) => `${faultNames()[fault.name]}: ${t(...fault.why)}`);
  return [name, ...(excluded ? [t("not used")] : []), ...(caption ? [caption] : []), ...said].join(". ");
}

function corner(kind, label, sign, act) {
  const onclick = (event) => {
    event.stopPropagation();
    act();
  };
  return make("button", { type: "button", class: kind, "aria-label": label, title: label, onclick }, sign);
}

/** Enter opens a photo, arrows with Ctrl move it. */
function keyed(event, can) {
  if (event.target !== event.currentTarget) return;
  const by = event.ctrlKey ? { ArrowLeft: -1, ArrowRight: 1 }[event.key] : 0;
  if (!by && event.key !== "Enter") return;
  event.preventDefault();
  event.stopPropagation();
  if (by) can.move(by);
  else can.open();
}

/** Moved with the pointer to the place of another photo. Not the browser's own dragging: files are dropped by that. */
function dragged(item, can) {
  let start = null;
  let target = null;
  const mark = (next) => {
    target?.classList.remove("db-target");
    target = next;
    target?.classList.add("db-target");
  };
  item.addEventListener("pointerdown", (event) => {
    // Nodes 2.0 would move the node.
    event.stopPropagation();
    if (event.button === 0 && !event.target.closest("button")) start = [event.clientX, event.clientY];
  });
  item.addEventListener("pointermove", (event) => {
    if (!start || Math.hypot(event.clientX - start[0], event.clientY - start[1]) < FEWEST_PIXELS) return;
    item.setPointerCapture(event.pointerId);
    item.classList.add("db-dragged");
    const over = document.elementFromPoint(event.clientX, event.clientY)?.closest(".db-photo");
    mark(over?.parentElement === item.parentElement && over !== item ? over : null);
  });
  const end = (moves) => {
    const places = [...(item.parentElement?.children ?? [])];
    const by = moves && target ? places.indexOf(target) - places.indexOf(item) : 0;
    // The click that follows opens nothing.
    if (item.classList.contains("db-dragged")) item.addEventListener("click", (event) => event.stopImmediatePropagation(), { capture: true, once: true });
    item.classList.remove("db-dragged");
    start = null;
    mark(null);
    if (by) can.move(by);
  };
  item.addEventListener("pointerup", () => end(true));
  item.addEventListener("pointercancel", () => end(false));
}

export function faultNames() {
  return {
    "too small": t("too small"),
    blurred: t("blurred"),
    "near-duplicate": t("near-duplicate"),
    "same background": t("same background"),
    unreadable: t("unreadable"),
  };
}
