/* How a template of the pack lies before its user: as large as the free part of the page allows. */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { nodes2Folds } from "./advanced.js";

// Pixels that the page's side bar, tabs and buttons lie over; above, at least.
const COVERED = { left: 76, top: 96, right: 16, bottom: 20 };
const RUN = "[data-testid=queue-button]";
const BELOW_RUN = 24;
const LOWEST_RUN = 260;
const TEMPLATE = "dreambooth_template";
const FIRST = "1 Quick start";
const TITLE = 30;
const CATEGORY = "DreamBooth";
const MOST = 1;
const LATER = 500;
const HOSTS_SHARE = 0.75;

/** Put the pack's templates in order: the host lists them as its file system does. */
export function sortTemplates() {
  const own = api.getWorkflowTemplates;
  api.getWorkflowTemplates = async function (...given) {
    const found = await own.apply(this, given);
    for (const names of Object.values(found)) if (names.includes(FIRST)) names.sort();
    return found;
  };
}

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
  // By then the nodes of Nodes 2.0 are drawn, and as high as they need to be.
  setTimeout(() => {
    const { scale } = app.canvas.ds;
    if (!own || scale === own || Math.abs(scale / own - HOSTS_SHARE) < 0.2) fit();
  }, LATER);
}

function fit() {
  const { ds } = app.canvas;
  const [left, top, right, bottom] = bounds();
  const canvas = app.canvas.canvas.getBoundingClientRect();
  const above = covered(canvas);
  const free = [canvas.width - COVERED.left - COVERED.right, canvas.height - above - COVERED.bottom];
  ds.scale = Math.min(MOST, free[0] / (right - left), free[1] / (bottom - top));
  ds.offset[0] = (COVERED.left + free[0] / 2) / ds.scale - (left + right) / 2;
  ds.offset[1] = (above + free[1] / 2) / ds.scale - (top + bottom) / 2;
  app.canvas.setDirty(true, true);
  return ds.scale;
}

/** Pixels of the canvas above which the Run button stands, and a banner of the host over it. */
function covered(canvas) {
  const run = document.querySelector(RUN)?.getBoundingClientRect().bottom ?? 0;
  return run < LOWEST_RUN ? Math.max(COVERED.top, run + BELOW_RUN - canvas.top) : COVERED.top;
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

/** In Nodes 2.0, of the part below the title. */
function drawnHeight(node) {
  const element = LiteGraph.vueNodesMode && document.querySelector(`[data-node-id="${node.id}"]`);
  return element ? element.offsetHeight - TITLE : 0;
}

function bounds() {
  const boxes = app.graph.nodes.map((node) => {
    const { pos, size } = node;
    return [pos[0], pos[1] - TITLE, pos[0] + size[0], pos[1] + Math.max(size[1], drawnHeight(node)) * !node.flags.collapsed];
  });
  const side = (index, most) => most(...boxes.map((box) => box[index]));
  return [side(0, Math.min), side(1, Math.min), side(2, Math.max), side(3, Math.max)];
}
