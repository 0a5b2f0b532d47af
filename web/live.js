/* Which run belongs to which node: the host's events, and the state behind them. */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { ask, onceAFrame } from "./panel.js";

const KINDS = ["began", "step", "sample", "phase", "saved", "planned", "warned", "priors", "resumed"];
const watchers = new Set();

/**
 * Call `load(state)` with the whole state of a node's run, and `hear(kind, data)` with every event after it.
 * source: the node whose run it is, where that is another one and may change.
 */
export function watch(node, load, hear, source = () => node) {
  const watcher = { source, load, hear };
  watchers.add(watcher);
  const removed = node.onRemoved;
  node.onRemoved = function (...given) {
    watchers.delete(watcher);
    return removed?.apply(this, given);
  };
  const added = node.onAdded;
  // A node that comes back by undo, or is pasted, watches again.
  node.onAdded = function (...given) {
    watchers.add(watcher);
    return added?.apply(this, given);
  };
}

export function watchHost() {
  for (const kind of KINDS) {
    api.addEventListener(`dreambooth.${kind}`, ({ detail }) => {
      if (kind === "began" || kind === "resumed") refresh();
      for (const { source, hear } of watchers) if (belongs(detail, source())) hear(kind, detail);
    });
  }
  for (const end of ["execution_success", "execution_error", "execution_interrupted", "reconnected"]) {
    api.addEventListener(end, refresh);
  }
}

/** Ask the server for the whole state, and hand it to the nodes. */
export const refresh = onceAFrame(async () => {
  if (!watchers.size) return;
  for (const state of await ask("live")) {
    for (const { source, load } of watchers) if (belongs(state, source())) load(state);
  }
});

/** Whether what was told of a node of a workflow is of this one. */
export function belongs(told, node) {
  const root = app.rootGraph ?? app.graph;
  if (told.workflow && root?.id && told.workflow !== root.id) return false;
  return told.node !== null && node && told.node === executionId(node);
}

/** The host's id of a node while it executes: "5", or "12:5" inside the subgraph of node 12. */
export function executionId(node) {
  const path = pathTo(node.graph, app.rootGraph ?? app.graph);
  return path === null ? null : [...path, node.id].join(":");
}

function pathTo(graph, from) {
  if (!graph || graph === from) return graph ? [] : null;
  for (const outer of from.nodes) {
    const inner = outer.subgraph && pathTo(graph, outer.subgraph);
    if (inner) return [outer.id, ...inner];
  }
  return null;
}
