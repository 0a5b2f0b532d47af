/* The class noun of a node of photos: an example's goes with the example, whose noun suits no other photos. */

import { isOwn } from "./folders.js";
import { setWidget, widgetOf } from "./panel.js";

export class ClassNoun {
  constructor(node) {
    this.node = node;
    this.example = null;
    this.left = null;
  }

  get value() {
    return String(widgetOf(this.node, "class_noun").value ?? "");
  }

  get isMissing() {
    return !this.value.trim();
  }

  /** Another folder was chosen: where the noun is still the example's, the user's own photos begin without one. */
  leaveExample(folder) {
    const { example } = this;
    if (!example || folder === example.folder || this.value !== example.noun) return;
    this.left = example.noun;
    if (isOwn(folder)) setWidget(this.node, "class_noun", "");
  }

  /** The photos of `folder` are shown. noun: an example's, which takes the place of another example's; else null. */
  takeExample(folder, noun) {
    this.example = noun ? { folder, noun } : null;
    if (noun && this.left && this.value === this.left) setWidget(this.node, "class_noun", noun);
    this.left = null;
  }
}
