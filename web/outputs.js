/* What a node has put out: told when it ran, and asked for where the host answered from its cache and told nothing. */

import { api } from "../../scripts/api.js";
import { belongs } from "./live.js";
import { after, ask, onceAFrame } from "./panel.js";

const readers = new Set();

/** Call `take(value, inputs)` with a `name`d output of a node; inputs: those that it holds for, {} where not told. */
export function onOutput(node, name, take) {
  const reader = { node, name, take };
  readers.add(reader);
  after(node, "onRemoved", () => readers.delete(reader));
  after(node, "onAdded", () => readers.add(reader));
  after(node, "onExecuted", (output) => output?.[name] && take(output[name], {}));
}

export function watchOutputs() {
  api.addEventListener("execution_success", lookUp);
}

/** Ask the server what the nodes of this workflow showed last. */
export const lookUp = onceAFrame(async () => {
  if (!readers.size) return;
  for (const told of await ask("outputs")) {
    for (const { node, name, take } of readers) if (told.ui[name] && belongs(told, node)) take(told.ui[name], told.inputs);
  }
});
