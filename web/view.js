/* How a template of the pack lies before its user: as large as the free part of the page allows. */

import { app } from "../../scripts/app.js";
import { nodes2Folds } from "./advanced.js";

// Pixels that the page's side bar, tabs and buttons lie over.
const COVERED = { left: 76, top: 96, right: 16, bottom: 20 };
const TEMPLATE = "dreambooth_template";
const TITLE = 30;
const CATEGORY = "DreamBooth";
const MOST = 1;
const LATER = 500;
const HOSTS_SHARE = 0.75;

/** Whether the workflow that is shown has just been opened from a template of the pack; asked once. */
export function takeTemplate() {
  const { extra } = app.graph;
  const is = Boolean(extra?.[TEMPLATE]);
  if (is) delete extra[TEMPLATE];
  return is;
}

/**
 * Fit the whole graph, right after the host has fitted it to three quarters of the page, however late it does.
 * Not in the first Nodes 2.0, which moves nodes when the view changes as they appear: it shows what the file says.
 */
export function fitTemplate() {
  if (LiteGraph.vueNodesMode && !nodes2Folds()) return;
  let own = null;
  requestAnimationFrame(() => (own = fit()));
  setTimeout(() => {
    const { scale } = app.canvas.ds;
    if (!own || (scale !== own && Math.abs(scale / own - HOSTS_SHARE) < 0.2)) fit();
  }, LATER);
}

function fit() {
  const { ds } = app.canvas;
  const [left, top, right, bottom] = bounds();
  const { width, height } = app.canvas.canvas.getBoundingClientRect();
  const free = [width - COVERED.left - COVERED.right, height - COVERED.top - COVERED.bottom];
  ds.scale = Math.min(MOST, free[0] / (right - left), free[1] / (bottom - top));
  ds.offset[0] = (COVERED.left + free[0] / 2) / ds.scale - (left + right) / 2;
  ds.offset[1] = (COVERED.top + free[1] / 2) / ds.scale - (top + bottom) / 2;
  app.canvas.setDirty(true, true);
  return ds.scale;
}

/** Give nodes back the sizes that they had on the classic canvas: Nodes 2.0 leaves them as large as it needed them. */
export function keepClassicSizes() {
  const sizes = new WeakMap();
  app.ui.settings.addEventListener("Comfy.VueNodes.Enabled.change", ({ detail }) => {
    const nodes = app.graph.nodes.filter((node) => node.constructor.nodeData?.category === CATEGORY);
    if (detail.value) {
      for (const node of nodes) sizes.set(node, [...node.size]);
      return;
    }
    // After the host has put its own.
    setTimeout(() => {
      for (const node of nodes) if (sizes.has(node)) node.setSize(sizes.get(node));
      app.canvas.setDirty(true, true);
    }, LATER);
  });
}

function bounds() {
  const boxes = app.graph.nodes.map(({ pos, size }) => [pos[0], pos[1] - TITLE, pos[0] + size[0], pos[1] + size[1]]);
  const side = (index, most) => most(...boxes.map((box) => box[index]));
  return [side(0, Math.min), side(1, Math.min), side(2, Math.max), side(3, Math.max)];
}
