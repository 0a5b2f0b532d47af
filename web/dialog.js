/* A dialog over the whole page. */

import { make } from "./panel.js";

/**
 * Open a dialog named `label` and return it; it is gone when it is closed. onkey: what a key does in it; keeps: whether a
 * click beside it leaves it open, because something could be lost.
 */
export function openDialog(label, { onkey = () => {}, keeps = false } = {}, ...children) {
  const dialog = make("dialog", { class: "db-dialog", "aria-label": label }, ...children);
  dialog.addEventListener("click", (event) => !keeps && event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("keydown", (event) => {
    // The graph behind would take the keys as its shortcuts.
    event.stopPropagation();
    onkey(event);
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
