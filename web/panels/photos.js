/* LoadInstanceImages: drop photos, see them as they will be cropped, and what hurts. */

import { api } from "../../../scripts/api.js";
import { addPanel, after, ask, make, onceAFrame, setWidget, toast, widgetOf } from "../panel.js";
import { t } from "../words.js";

const HEIGHT = 210;
const EXAMPLE = "example: ";
const FROM_GRAPH = "(use images)";

export function addPhotos(node) {
  const panel = new PhotosPanel(node, addPanel(node, "photos", t("Photos"), HEIGHT));
  for (const name of ["folder", "resolution"]) after(widgetOf(node, name), "callback", panel.look);
  after(node, "onConfigure", panel.look);
  after(node, "onExecuted", panel.look);
  // The host asks the node when something is dragged over the part of it that it draws itself.
  node.onDragOver = (event) => [...(event.dataTransfer?.items ?? [])].some((item) => item.kind === "file");
  node.onDragDrop = (event) => panel.take(event.dataTransfer.files);
  panel.look();
}

class PhotosPanel {
  constructor(node, element) {
    this.node = node;
    this.grid = make("ul", { class: "db-photos-grid" });
    this.says = make("div", { class: "db-says", role: "status" });
    this.input = make("input", { type: "file", multiple: "", accept: "image/*", hidden: "", onchange: () => this.chosen() });
    const add = make("button", { type: "button", onclick: () => this.input.click() }, t("Add photos"));
    element.append(this.grid, make("div", { class: "db-row" }, this.says, this.input, add));
    this.look = onceAFrame(() => this.show());
    this.acceptDrops(element);
  }

  acceptDrops(element) {
    const over = (on) => element.classList.toggle("db-over", on);
    element.addEventListener("dragover", (event) => {
      event.preventDefault();
      over(true);
    });
    element.addEventListener("dragleave", (event) => element.contains(event.relatedTarget) || over(false));
    element.addEventListener("drop", (event) => {
      event.preventDefault();
      event.stopPropagation();
      over(false);
      this.take(event.dataTransfer.files);
    });
  }

  chosen() {
    this.take(this.input.files);
    this.input.value = "";
  }

  /** Upload photos into the chosen folder, or a new one; true when there were any. */
  async take(files) {
    const photos = [...files].filter((file) => file.type.startsWith("image/") || /\.hei[cf]$/i.test(file.name));
    if (!photos.length) {
      toast("warn", t("Only photos can be dropped here."));
      return false;
    }
    const folder = this.target();
    try {
      for (const [index, photo] of photos.entries()) {
        this.says.textContent = t("Uploading {0} of {1} …", index + 1, photos.length);
        await upload(photo, folder);
      }
      const { options } = widgetOf(this.node, "folder");
      if (!options.values.includes(folder)) options.values = [folder, ...options.values];
      setWidget(this.node, "folder", folder);
    } catch (error) {
      toast("error", error.message);
    }
    this.look();
    return true;
  }

  /** The folder that is chosen, if it is the user's own; otherwise one that is not there yet. */
  target() {
    const widget = widgetOf(this.node, "folder");
    if (widget.value && widget.value !== FROM_GRAPH && !widget.value.startsWith(EXAMPLE)) return widget.value;
    const noun = widgetOf(this.node, "class_noun").value.replace(/[^\p{L}\p{N} _-]/gu, "").trim() || "subject";
    for (let number = 1; ; number += 1) {
      const name = `${noun.slice(0, 60)} photos${number > 1 ? ` ${number}` : ""}`;
      if (!widget.options.values.includes(name)) return name;
    }
  }

  async show() {
    const folder = widgetOf(this.node, "folder").value;
    const resolution = String(widgetOf(this.node, "resolution").value);
    const asked = (this.asked = Symbol());
    if (!folder || folder === FROM_GRAPH) {
      this.grid.replaceChildren(make("li", { class: "db-hint" }, t("Drop 3 to 5 photos of your subject here.")));
      this.says.textContent = "";
      return;
    }
    try {
      const found = await ask(`photos?${new URLSearchParams({ folder, resolution })}`);
      // Answers may overtake each other.
      if (asked === this.asked) this.draw(found);
    } catch (error) {
      if (asked !== this.asked) return;
      this.grid.replaceChildren(make("li", { class: "db-hint" }, t("Drop 3 to 5 photos of your subject here.")));
      this.says.textContent = error.message;
    }
  }

  draw({ photos, count }) {
    this.grid.replaceChildren(...photos.map(tile));
    const hurt = photos.filter((photo) => photo.faults.length).length;
    const parts = [t("{0} photos", count), hurt ? t("{0} with a fault", hurt) : t("no faults found")];
    this.says.textContent = parts.join(" · ");
  }
}

function tile({ name, thumbnail, faults }) {
  const picture = thumbnail
    ? make("img", { src: thumbnail, alt: name, draggable: "false" })
    : make("div", { class: "db-none" }, "×");
  const badges = faults.map((fault) => make("span", { class: "db-badge" }, faultNames()[fault.name]));
  const why = faults.map((fault) => t(...fault.why)).join("\n");
  const label = [name, ...faults.map((fault) => `${faultNames()[fault.name]}: ${t(...fault.why)}`)].join(". ");
  // In reach of the keyboard where there is something to read.
  const reach = faults.length ? 0 : null;
  return make("li", { class: "db-photo", title: why || name, "aria-label": label, tabindex: reach }, picture, make("div", { class: "db-badges" }, ...badges));
}

function faultNames() {
  return {
    "too small": t("too small"),
    blurred: t("blurred"),
    "near-duplicate": t("near-duplicate"),
    "same background": t("same background"),
    unreadable: t("unreadable"),
  };
}

/** By the host's own route, which writes only inside its input folder. */
async function upload(photo, folder) {
  const form = new FormData();
  form.append("image", photo);
  form.append("subfolder", folder);
  form.append("type", "input");
  const answer = await api.fetchApi("/upload/image", { method: "POST", body: form });
  if (!answer.ok) throw new Error(t("{0} could not be uploaded ({1}).", photo.name, answer.status));
}
