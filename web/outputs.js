/* What a node has put out: told when it ran, and looked up where the host answered from its cache and told nothing. */

import { api } from "../../scripts/api.js";
import { belongs } from "./live.js";
import { after, onceAFrame } from "./panel.js";

const LATEST = 4;
const readers = new Set();

/** Call `take(value, inputs)` with the first of a node's `name`d outputs; inputs: by name, null where the host says none. */
export function onOutput(node, name, take) {
  const reader = { node, name, take, seen: null };
  readers.add(reader);
  after(node, "onRemoved", () => readers.delete(reader));
  after(node, "onAdded", () => readers.add(reader));
  after(node, "onExecuted", (output) => output?.[name] && take(output[name], null));
  lookUp();
}

export function watchOutputs() {
  // The queue changes after a prompt's outputs have been filed.
  api.addEventListener("status", lookUp);
}

/** The latest outputs of this workflow that the host has on file. */
export const lookUp = onceAFrame(async () => {
  if (!readers.size) return;
  const answer = await api.fetchApi(`/history?max_items=${LATEST}`);
  if (!answer.ok) return;
  const newestFirst = Object.values(await answer.json()).reverse();
  for (const reader of readers) {
    const found = newestFirst.find((entry) => outputOf(reader, entry));
    if (!found || found.prompt[1] === reader.seen) continue;
    reader.seen = found.prompt[1];
    const [id, output] = outputOf(reader, found);
    reader.take(output, found.prompt[2][id].inputs);
  }
});

function outputOf({ node, name }, { prompt, outputs }) {
  const workflow = prompt[3].extra_pnginfo?.workflow?.id;
  const id = Object.keys(outputs).find((known) => workflow && belongs({ workflow, node: known }, node));
  return id && prompt[2][id] && outputs[id][name] ? [id, outputs[id][name]] : null;
}
