/* What every panel is made of: an element in a node, and small parts. */

import { app } from "../../scripts/app.js";
import { onFailure } from "./outputs.js";

const NARROWEST = 320;

export function loadStyle() {
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = new URL("./dreambooth.css", import.meta.url).href;
  document.head.append(link);
}

/** Show small numbers as they are: the first Nodes 2.0 rounds to three places, unless it is told. */
export function showAllDigits(node) {
  for (const { type, options } of node.widgets ?? []) {
    if (type === "number" && options?.precision > 3) options.maxFractionDigits = options.precision;
  }
}

/** An element: `make("button", { class: "db-x", onclick, "aria-label": "…" }, child, "text")`. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** A panel at the end of a node, `height` pixels or more; the workflow's file knows nothing of it. Returns its body. */
export function addPanel(node, name, label, height) {
  const error = make("div", { class: "db-alert db-error", role: "alert", hidden: "" });
  const body = make("div", { class: "db-body" });
  const panel = make("section", { class: `db-panel db-${name}`, "aria-label": label }, error, body);
  panel.style.setProperty("--db-height", `${height}px`);
  const widget = node.addDOMWidget(`dreambooth_${name}`, `dreambooth_${name}`, panel, {
    getMinHeight: () => height,
    hideOnZoom: false,
    serialize: false,
  });
  widget.serialize = false;
  // App mode shows it as the heading of the panel.
  widget.label = label;
  panel.addEventListener("wheel", (event) => zoomInstead(event, panel));
  const [width, whole] = node.computeSize();
  node.setSize([Math.max(width, node.size[0], NARROWEST), Math.max(whole, node.size[1])]);
  onFailure(node, (text) => {
    error.textContent = text;
    error.hidden = !text;
  });
  return body;
}

/** The wheel zooms the graph wherever there is nothing to scroll, as it does beside the panel. */
function zoomInstead(event, panel) {
  if (!panel.closest(".dom-widget")) return;
  for (let at = event.target; at && at !== panel.parentElement; at = at.parentElement) {
    const scrolls = /auto|scroll/.test(getComputedStyle(at).overflowY + getComputedStyle(at).overflowX);
    if (scrolls && (at.scrollHeight > at.clientHeight || at.scrollWidth > at.clientWidth)) return;
  }
  event.preventDefault();
  app.canvas.processMouseWheel(event);
}

export const widgetOf = (node, name) => node.widgets?.find((widget) => widget.name === name);

/** The node that an input is linked to; none for a node that was removed. */
export function inputNode(node, name) {
  const slot = node.findInputSlot(name);
  return node.graph && slot >= 0 ? node.getInputNode(slot) : null;
}

export function setWidget(node, name, value) {
  const widget = widgetOf(node, name);
  widget.value = value;
  widget.callback?.(value);
  node.setDirtyCanvas?.(true, true);
}

/** Show what an output hands on in the widgets that it is linked to: their own text counts for nothing then. */
export function showLinked(node, output, value) {
  if (!node.graph) return;
  const slot = node.outputs?.findIndex((one) => one.name === output) ?? -1;
  for (const id of node.outputs?.[slot]?.links ?? []) {
    const link = node.graph.links.get?.(id) ?? node.graph.links[id];
    const target = link && node.graph.getNodeById(link.target_id);
    const widget = target && widgetOf(target, target.inputs[link.target_slot]?.widget?.name);
    if (widget && widget.value !== value) widget.value = value;
  }
}

export function toast(severity, detail) {
  app.extensionManager.toast.add({ severity, summary: "DreamBooth", detail, life: 8000 });
}
