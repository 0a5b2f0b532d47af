/* What nodes have put out, and what they failed with: asked for when something ended, also where the host answered from its cache. */

import { api } from "../../scripts/api.js";
import { after, onceAFrame } from "./callbacks.js";
import { answers, belongs } from "./live.js";
import { ask } from "./routes.js";

const readers = new Set();
const alerts = new Set();
const ENDS = ["executed", "execution_cached", "execution_success", "execution_error", "execution_interrupted", "reconnected"];

/** Call `take(value, inputs)` with a `name`d output of a node; inputs: those that it holds for, {} where not told. */
export function onOutput(node, name, take) {
  keepWhileThere(node, readers, { node, name, take });
}

/** Call `take(text)` with the error that a node failed with, "" where its last run did not fail. */
export function onFailure(node, take) {
  keepWhileThere(node, alerts, { node, take });
}

function keepWhileThere(node, all, one) {
  all.add(one);
  after(node, "onRemoved", () => all.delete(one));
  after(node, "onAdded", () => all.add(one));
}

export function watchOutputs() {
  for (const end of ENDS) api.addEventListener(end, lookUp);
  api.addEventListener("dreambooth.failed", lookUp);
  api.addEventListener("execution_start", lookUp);
}

/** Ask the server what the nodes of this workflow showed last. */
export const lookUp = onceAFrame(async () => {
  if (readers.size) {
    for (const told of await ask("outputs")) {
      for (const { node, name, take } of readers) if (told.ui[name] && answers(told, node)) take(told.ui[name], told.inputs);
    }
  }
  if (!alerts.size) return;
  const failures = await ask("failures");
  for (const { node, take } of alerts) take(failures.find((told) => belongs(told, node))?.error ?? "");
});
