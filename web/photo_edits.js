/* What was changed about photos on their panel: text in a widget, so that the workflow keeps it. */

import { setWidget, widgetOf } from "./panel.js";

const WIDGET = "edits";
const NOTHING = { order: [], excluded: [], captions: {}, masks: {} };

/** Hide the widget: its text is the panel's. */
export function hideEdits(node) {
  const widget = widgetOf(node, WIDGET);
  widget.hidden = widget.options.hidden = true;
  // The canvas keeps the room of a hidden widget, unless it has none: 4 pixels are added to a height.
  widget.computeSize = () => [0, -4];
}

/** Of the photos of one folder: { order, excluded, captions, masks }, as the server reads it. */
export function editsOf(node, folder) {
  return { ...structuredClone(NOTHING), ...read(node)[folder] };
}

/** Keep the edits of one folder beside those of others; what is empty is left out. */
export function keepEdits(node, folder, edits) {
  const all = { ...read(node), [folder]: pruned(edits) };
  if (!Object.keys(all[folder]).length) delete all[folder];
  setWidget(node, WIDGET, Object.keys(all).length ? JSON.stringify(all) : "");
}

/** Without a photo that is not there any more. */
export function forgetPhoto(node, folder, name) {
  const edits = editsOf(node, folder);
  for (const field of ["order", "excluded"]) edits[field] = edits[field].filter((other) => other !== name);
  for (const field of ["captions", "masks"]) delete edits[field][name];
  keepEdits(node, folder, edits);
}

/** What belongs into files beside the photos. */
export const writable = ({ captions, masks }) => pruned({ captions, masks });

function read(node) {
  try {
    return JSON.parse(widgetOf(node, WIDGET).value || "{}");
  } catch {
    // Of another program's making: the node says so when it runs.
    return {};
  }
}

function pruned(edits) {
  return Object.fromEntries(Object.entries(edits).filter(([, value]) => Object.keys(value).length));
}
