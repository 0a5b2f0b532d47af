/* How many photos a node of photos has, told to the nodes that train on them. */

const counts = new WeakMap();
const listeners = new Set();

/** Of a node; null where it is not known. */
export const photoCount = (node) => counts.get(node) ?? null;

export function tellPhotoCount(node, count) {
  if (photoCount(node) === count) return;
  counts.set(node, count);
  for (const listener of listeners) listener();
}

/** Call `listener` when any count changes; returns what ends that. */
export function onPhotoCount(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
