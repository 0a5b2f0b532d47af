/* LoadInstanceImages: drop photos, see them as they will be cropped, and what hurts; caption, mask and sort them. */

import { api } from "../../../scripts/api.js";
import { after, onceAFrame } from "../callbacks.js";
import { ClassNoun } from "../class_noun.js";
import { acceptDrops, droppedPhotos, newFolder, upload } from "../dropped_photos.js";
import { FROM_GRAPH, isOwn } from "../folders.js";
import { addPanel, make, setWidget, toast, widgetOf } from "../panel.js";
import { tellPhotoCount } from "../photo_count.js";
import { editsOf, forgetPhoto, hideEdits, keepEdits, writable } from "../photo_edits.js";
import { editPhoto } from "../photo_editor.js";
import { inWords, showReport } from "../photo_report.js";
import { tile } from "../photo_tiles.js";
import { ask } from "../routes.js";
import { addNounSuggestions } from "../suggested_nouns.js";
import { photos as photosOf, t } from "../words.js";

const HEIGHT = 310;

export function addPhotos(node) {
  hideEdits(node);
  const panel = new PhotosPanel(node, addPanel(node, "photos", t("Photos"), HEIGHT));
  after(widgetOf(node, "folder"), "callback", () => panel.noun.leaveExample(panel.folder));
  for (const name of ["folder", "class_noun", "resolution", "buckets", "edits"]) after(widgetOf(node, name), "callback", panel.look);
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

class PhotosPanel {
  constructor(node, element) {
    this.node = node;
    this.noun = new ClassNoun(node);
    this.grid = make("ul", { class: "db-photos-grid" });
    this.hint = make("li", { class: "db-hint" }, t("Drop 3 to 5 photos of your subject here."));
    this.drop = make("div", { class: "db-drop" }, t("Drop your own photos here"));
    this.says = make("div", { class: "db-says", role: "status" });
    this.notes = make("ul", { class: "db-notes", "aria-label": t("What is not used") });
    this.input = make("input", { type: "file", multiple: "", accept: "image/*", hidden: "", onchange: () => this.chosen() });
    const button = (name, text, onclick) => make("button", { type: "button", class: `db-${name}`, onclick }, text);
    const add = button("add", t("Add photos"), () => this.input.click());
    this.report = button("look", t("Report"), () => showReport(this.found));
    this.writes = button("write", t("Save to files"), () => this.write());
    this.report.hidden = this.writes.hidden = true;
    this.writes.title = t("Write captions and masks beside the photos, as photo.txt and photo-masklabel.png.");
    const nouns = addNounSuggestions(node);
    const row = make("div", { class: "db-row" }, this.input, this.writes, nouns.button, this.report, add);
    element.append(this.grid, this.notes, this.drop, this.says, nouns.row, row);
    this.look = onceAFrame(() => this.show());
    acceptDrops(element.closest(".db-panel"), (dataTransfer) => this.take(dataTransfer));
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
      // Into the list itself: the first Nodes 2.0 keeps the one that it was given, and calls what is not in it wrong.
      const { values } = widget.options;
      if (!values.includes(folder)) values.unshift(folder);
      setWidget(this.node, "folder", folder);
    } catch (error) {
      toast("error", error.message);
    }
    this.look();
  }

  get folder() {
    return widgetOf(this.node, "folder").value;
  }

  /** Where photos are dropped; once they are the user's own, what is still to be said of them. */
  askFor(folder, named = []) {
    const asks = isOwn(folder) && this.noun.isMissing && !named.length;
    this.drop.hidden = !asks && (isOwn(folder) || folder === FROM_GRAPH || !folder);
    this.drop.classList.toggle("db-asks", asks);
    this.drop.textContent = asks ? t("What do they show? Fill in class_noun.") : t("Drop your own photos here");
  }

  /** Change the edits of the chosen folder, by a function of them. */
  edit(change) {
    const edits = editsOf(this.node, this.folder);
    change(edits);
    keepEdits(this.node, this.folder, edits);
    this.look();
  }

  exclude({ name, excluded }) {
    this.edit((edits) => {
      edits.excluded = excluded ? edits.excluded.filter((other) => other !== name) : [...edits.excluded, name];
    });
  }

  move({ name }, by) {
    const order = this.found.photos.map((photo) => photo.name);
    const place = Math.max(0, order.indexOf(name) + by);
    const others = order.filter((other) => other !== name);
    this.edit((edits) => (edits.order = [...others.slice(0, place), name, ...others.slice(place)]));
  }

  async open(photo) {
    const [node, folder] = [this.node, this.folder];
    await editPhoto(folder, photo, editsOf(node, folder).masks[photo.name], (changed) => {
      const edits = editsOf(node, folder);
      if (changed.caption !== undefined) edits.captions[photo.name] = changed.caption;
      if (changed.mask !== undefined) edits.masks[photo.name] = changed.mask;
      if (changed.excluded !== undefined) edits.excluded = edits.excluded.filter((name) => name !== photo.name);
      if (changed.excluded) edits.excluded.push(photo.name);
      keepEdits(node, folder, edits);
      this.look();
    });
  }

  /** Write captions and masks beside the photos; the workflow forgets them. */
  async write() {
    const { folder } = this;
    try {
      const { written } = await ask("write_edits", { folder, edits: writable(editsOf(this.node, folder)) });
      toast("info", t("Written beside the photos: {0}", written.join(", ") || "–"));
      keepEdits(this.node, folder, { ...editsOf(this.node, folder), captions: {}, masks: {} });
    } catch (error) {
      toast("error", error.message);
    }
    this.look();
  }

  async remove(name) {
    try {
      const { folder } = this;
      await ask("remove_photo", { folder, name });
      forgetPhoto(this.node, folder, name);
      toast("info", t("{0} now lies in the subfolder “removed”.", name));
    } catch (error) {
      toast("error", error.message);
    }
    this.look();
  }

  async show() {
    const { folder } = this;
    const resolution = String(widgetOf(this.node, "resolution").value);
    const buckets = String(widgetOf(this.node, "buckets").value);
    const asked = (this.asked = Symbol());
    if (!folder || folder === FROM_GRAPH) return this.empty("");
    try {
      const found = await ask("edited_photos", { folder, resolution, buckets, edits: editsOf(this.node, folder) });
      // Answers may overtake each other.
      if (asked === this.asked) this.draw(found, isOwn(folder));
    } catch (error) {
      if (asked === this.asked) this.empty(error.message);
    }
  }

  empty(text) {
    tellPhotoCount(this.node, null);
    this.report.hidden = true;
    this.writes.hidden = true;
    this.grid.replaceChildren(this.hint);
    this.notes.replaceChildren();
    this.says.textContent = text;
    this.askFor(this.folder);
  }

  draw(found, own) {
    this.found = found;
    this.noun.takeExample(this.folder, found.class_noun);
    this.askFor(this.folder, found.subjects.filter((one) => one.identifier));
    tellPhotoCount(this.node, found.count);
    const { photos, count, excluded, captions, masks, faults, notes } = found;
    this.grid.replaceChildren(...photos.map((photo) => tile(photo, this.deeds(photo, own))));
    const hurt = photos.filter((photo) => !photo.excluded && photo.faults.length).length;
    const judged = Object.keys(faults).length ? t("{0} with a fault", hurt) : t("no faults found");
    const kept = this.kept();
    const told = [
      photosOf(count),
      ...(excluded ? [t("left out: {0}", excluded)] : []),
      count + excluded > photos.length ? t("the first {0} are shown", photos.length) : judged,
      ...(captions ? [t("captions: {0}", captions)] : []),
      ...(masks ? [t("masks: {0}", masks)] : []),
      ...(kept.some(Boolean) ? [t("in this workflow alone: captions {0}, masks {1}", ...kept)] : []),
    ].join(" · ");
    this.says.textContent = count === 1 ? t("1 photo: too few, add 2 to 4 others") : told;
    this.says.title = this.says.textContent;
    this.says.classList.toggle("db-warns", count === 1);
    this.notes.replaceChildren(...notes.map((note) => make("li", {}, inWords(note))));
    this.report.hidden = false;
    this.writes.hidden = !own || !kept.some(Boolean);
  }

  deeds(photo, own) {
    return {
      open: () => this.open(photo),
      exclude: () => this.exclude(photo),
      remove: own ? () => this.remove(photo.name) : null,
      move: (by) => this.move(photo, by),
    };
  }

  /** How many captions and masks only the workflow knows. */
  kept() {
    const { captions, masks } = editsOf(this.node, this.folder);
    return [Object.keys(captions).length, Object.keys(masks).length];
  }
}
