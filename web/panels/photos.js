/* LoadInstanceImages: drop photos, see them as they will be cropped, and what hurts. */

import { api } from "../../../scripts/api.js";
import { after, onceAFrame } from "../callbacks.js";
import { droppedPhotos, newFolder, upload } from "../dropped_photos.js";
import { addPanel, make, setWidget, toast, widgetOf } from "../panel.js";
import { ask } from "../routes.js";
import { photos as photosOf, t } from "../words.js";

const HEIGHT = 280;
const EXAMPLE = "example: ";
const FROM_GRAPH = "(use images)";

export function addPhotos(node) {
  const panel = new PhotosPanel(node, addPanel(node, "photos", t("Photos"), HEIGHT));
  for (const name of ["folder", "resolution", "buckets"]) after(widgetOf(node, name), "callback", panel.look);
  after(node, "onConfigure", panel.look);
  // The folder is the user's: files come and go without the page.
  const looks = [[window, "focus"], [api, "execution_start"], [api, "execution_success"], [api, "execution_error"]];
  for (const [target, event] of looks) target.addEventListener(event, panel.look);
  after(node, "onRemoved", () => looks.forEach(([target, event]) => target.removeEventListener(event, panel.look)));
  // The host asks the node when something is dragged over the part of it that it draws itself.
  node.onDragOver = (event) => [...(event.dataTransfer?.items ?? [])].some((item) => item.kind === "file");
  node.onDragDrop = (event) => panel.take(event.dataTransfer);
  panel.look();
}

const isOwn = (folder) => Boolean(folder) && folder !== FROM_GRAPH && !folder.startsWith(EXAMPLE);

class PhotosPanel {
  constructor(node, element) {
    this.node = node;
    this.grid = make("ul", { class: "db-photos-grid" });
    this.hint = make("li", { class: "db-hint" }, t("Drop 3 to 5 photos of your subject here."));
    this.drop = make("div", { class: "db-drop" }, t("Drop your own photos here"));
    this.says = make("div", { class: "db-says", role: "status" });
    this.notes = make("ul", { class: "db-notes", "aria-label": t("What is not used") });
    this.input = make("input", { type: "file", multiple: "", accept: "image/*", hidden: "", onchange: () => this.chosen() });
    const add = make("button", { type: "button", onclick: () => this.input.click() }, t("Add photos"));
    element.append(this.grid, this.notes, this.drop, make("div", { class: "db-row" }, this.says, this.input, add));
    this.look = onceAFrame(() => this.show());
    this.acceptDrops(element.closest(".db-panel"));
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
      this.take(event.dataTransfer);
    });
  }

  chosen() {
    this.store([...this.input.files], "");
    this.input.value = "";
  }

  /** What was dropped: photos, or a folder of them. True, so that the host does nothing with it. */
  async take(dataTransfer) {
    const { photos, folder } = await droppedPhotos(dataTransfer);
    await this.store(photos, folder);
    return true;
  }

  /** Upload photos into the chosen folder, if it is the user's own, or into a new one. */
  async store(files, name) {
    const photos = files.filter((file) => file.type.startsWith("image/") || /\.hei[cf]$/i.test(file.name));
    if (!photos.length) return toast("warn", t("Only photos can be dropped here."));
    const widget = widgetOf(this.node, "folder");
    try {
      const folder = isOwn(widget.value) && !name ? widget.value : await newFolder(name);
      for (const [index, photo] of photos.entries()) {
        this.says.textContent = t("Uploading {0} of {1} …", index + 1, photos.length);
        await upload(photo, folder);
      }
      const { options } = widget;
      if (!options.values.includes(folder)) options.values = [folder, ...options.values];
      setWidget(this.node, "folder", folder);
    } catch (error) {
      toast("error", error.message);
    }
    this.look();
  }

  async remove(name) {
    try {
      await ask("remove_photo", { folder: widgetOf(this.node, "folder").value, name });
      toast("info", t("{0} now lies in the subfolder “removed”.", name));
    } catch (error) {
      toast("error", error.message);
    }
    this.look();
  }

  async show() {
    const folder = widgetOf(this.node, "folder").value;
    const resolution = String(widgetOf(this.node, "resolution").value);
    const buckets = String(widgetOf(this.node, "buckets").value);
    const asked = (this.asked = Symbol());
    this.drop.hidden = isOwn(folder) || folder === FROM_GRAPH || !folder;
    if (!folder || folder === FROM_GRAPH) return this.empty("");
    try {
      const found = await ask(`photos?${new URLSearchParams({ folder, resolution, buckets })}`);
      // Answers may overtake each other.
      if (asked === this.asked) this.draw(found, isOwn(folder));
    } catch (error) {
      if (asked === this.asked) this.empty(error.message);
    }
  }

  empty(text) {
    this.grid.replaceChildren(this.hint);
    this.notes.replaceChildren();
    this.says.textContent = text;
  }

  draw({ photos, count, captions, notes }, own) {
    this.grid.replaceChildren(...photos.map((photo) => tile(photo, own ? () => this.remove(photo.name) : null)));
    const hurt = photos.filter((photo) => photo.faults.length).length;
    const faults = hurt ? t("{0} with a fault", hurt) : t("no faults found");
    const judged = count > photos.length ? t("the first {0} are shown", photos.length) : faults;
    const told = [photosOf(count), judged, ...(captions ? [t("captions: {0}", captions)] : [])].join(" · ");
    this.says.textContent = count === 1 ? t("1 photo: too few, add 2 to 4 others") : told;
    this.says.title = this.says.textContent;
    this.says.classList.toggle("db-warns", count === 1);
    this.notes.replaceChildren(...notes.map((note) => make("li", {}, inWords(note))));
  }
}

/** A note of the server, "what: names", in the page's language. */
function inWords(note) {
  const [what, ...names] = note.split(": ");
  const words = {
    "captions that are not read, because there are others": t("captions that are not read, because there are others"),
    "captions without a photo of their name": t("captions without a photo of their name"),
    "passed over": t("passed over"),
    "photos whose caption is empty, as if they had none": t("photos whose caption is empty, as if they had none"),
  };
  return [words[what] ?? what, ...names].join(": ");
}

function tile({ name, thumbnail, faults, caption }, remove) {
  const picture = thumbnail
    ? make("img", { src: thumbnail, alt: name, draggable: "false" })
    : make("div", { class: "db-none" }, "×");
  const badges = faults.map((fault) => make("span", { class: "db-badge" }, faultNames()[fault.name]));
  const why = faults.map((fault) => t(...fault.why)).join("\n");
  const written = caption ? [caption] : [];
  const label = [name, ...written, ...faults.map((fault) => `${faultNames()[fault.name]}: ${t(...fault.why)}`)].join(". ");
  const drop = remove && make("button", { type: "button", class: "db-remove", "aria-label": t("Remove {0}", name), onclick: remove }, "×");
  // In reach of the keyboard where there is something to read.
  const reach = faults.length || caption ? 0 : null;
  const title = [why || name, ...written].join("\n");
  const below = caption ? make("span", { class: "db-written" }, caption) : null;
  return make("li", { class: "db-photo", title, "aria-label": label, tabindex: reach }, picture, make("div", { class: "db-badges" }, ...badges), below, drop);
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
