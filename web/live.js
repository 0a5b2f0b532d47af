/* Which run belongs to which node: the host's events, and the state behind them. */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { after, onceAFrame } from "./callbacks.js";
import { ask } from "./routes.js";

const KINDS = ["began", "step", "sample", "scored", "validated", "phase", "saved", "planned", "warned", "priors", "resumed"];
const MARK = "dreambooth";
const watchers = new Set();
const cached = new Set();
let opened = null;

/**
 * Give the workflow that is shown an id of its own, once: all copies of a template have the same `id`, and a fresh one
 * shows nothing of another's runs. It is saved with the workflow, so that a reload finds its runs again.
 */
export function markOpened() {
  const root = rootGraph();
  if (!root) return;
  root.extra ??= {};
  // Undo brings back a state from before the mark: it is the same workflow.
  if (!root.extra[MARK]) root.extra[MARK] = (isRestoring() && opened) || newMark();
  // What the host answered from its cache, it answered another workflow.
  if (opened !== root.extra[MARK]) cached.clear();
  opened = root.extra[MARK];
}

const rootGraph = () => app.rootGraph ?? app.graph;

// Not crypto.randomUUID: pages of another machine without TLS lack it.
const newMark = () => [Date.now(), Math.random() * 2 ** 52, Math.random() * 2 ** 52].map((n) => Math.floor(n).toString(36)).join("-");

function isRestoring() {
  const tracker = app.extensionManager?.workflow?.activeWorkflow?.changeTracker;
  return tracker?._restoringState ?? tracker?.restoringState ?? false;
}

/**
 * Call `load(state)` with the whole state of a node's run, and `hear(kind, data)` with every event after it.
 * source: the node whose run it is, where that is another one and may change. lost: called where the host knows of no
 * run of the node, as after its restart.
 */
export function watch(node, load, hear, source = () => node, lost = () => {}) {
  const watcher = { source, load, hear, lost };
  watchers.add(watcher);
  after(node, "onRemoved", () => watchers.delete(watcher));
  // A node that comes back by undo, or is pasted, watches again.
  after(node, "onAdded", () => watchers.add(watcher));
}

export function watchHost() {
  for (const kind of KINDS) {
    api.addEventListener(`dreambooth.${kind}`, ({ detail }) => {
      if (kind === "began" || kind === "resumed") refresh();
      for (const { source, hear } of watchers) if (belongs(detail, source())) hear(kind, detail);
    });
  }
  api.addEventListener("execution_start", () => cached.clear());
  api.addEventListener("execution_cached", ({ detail }) => {
    for (const id of detail.nodes ?? []) cached.add(String(id));
    refresh();
  });
  for (const end of ["execution_success", "execution_error", "execution_interrupted", "reconnected"]) {
    api.addEventListener(end, refresh);
  }
}

/** Ask the server for the whole state, and hand it to the nodes. */
export const refresh = onceAFrame(async () => {
  if (!watchers.size) return;
  const states = await ask("live");
  for (const { source, load, lost } of [...watchers]) {
    const own = states.filter((state) => answers(state, source()));
    own.forEach(load);
    if (!own.length) lost();
  }
});

/** Whether what was told of a node of an opened workflow is of this one. */
export function belongs(told, node) {
  const mark = rootGraph()?.extra?.[MARK];
  if (!node || !mark || told.workflow !== mark) return false;
  return executionIds(node).includes(told.node);
}

/**
 * Whether what was told is of this node, or of the same node in another copy of the workflow, where the host answered the
 * latest prompt with it from its cache.
 */
export function answers(told, node) {
  return belongs(told, node) || (!!node && cached.has(told.node) && executionIds(node).includes(told.node));
}

/** The host's ids of a node while it executes: "5", or "12:5" inside the subgraph of node 12, one for each use of it. */
export function executionIds(node) {
  return paths(node.graph, rootGraph()).map((path) => [...path, node.id].join(":"));
}

function paths(graph, from) {
  if (!graph || graph === from) return graph ? [[]] : [];
  const inside = from.nodes.filter((outer) => outer.subgraph);
  return inside.flatMap((outer) => paths(graph, outer.subgraph).map((path) => [outer.id, ...path]));
}
