/* Photos from the desktop, alone or as a folder, and their way into the host's input folder. */

import { api } from "../../scripts/api.js";
import { t } from "./words.js";

const SUBJECT = "my subject";
const LONGEST = 60;

/** Let files be dropped on an element; take: what is done with what was dropped. */
export function acceptDrops(element, take) {
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
    take(event.dataTransfer);
  });
}

/** { photos, folder }: the files that were dropped, and the name of the folder that they came in, "" without one. */
export async function droppedPhotos(dataTransfer) {
  // Asked for before anything is awaited: afterwards the browser has forgotten them.
  const entries = [...(dataTransfer.items ?? [])].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const files = [...dataTransfer.files];
  const folder = entries.find((entry) => entry.isDirectory);
  if (!folder) return { photos: files, folder: "" };
  return { photos: await filesIn(folder), folder: folder.name };
}

async function filesIn(folder) {
  const reader = folder.createReader();
  const found = [];
  // A hundred at a time, until there are none.
  for (let some = await read(reader); some.length; some = await read(reader)) found.push(...some);
  return Promise.all(found.filter((entry) => entry.isFile).map((entry) => new Promise((done, failed) => entry.file(done, failed))));
}

const read = (reader) => new Promise((done, failed) => reader.readEntries(done, failed));

/**
 * A name that is not taken, whatever the page has loaded: that of the folder that was dropped, else "my subject", numbered
 * from the second on.
 */
export async function newFolder(dropped) {
  const answer = await (await api.fetchApi("/object_info/LoadInstanceImages")).json();
  const [kind, options] = answer.LoadInstanceImages.input.required.folder;
  const taken = options?.options ?? kind;
  const name = dropped.replace(/[^\p{L}\p{N} _-]/gu, "").trim().slice(0, LONGEST) || SUBJECT;
  for (let number = 1; ; number += 1) {
    const numbered = number > 1 ? `${name} ${number}` : name;
    if (!taken.includes(numbered)) return numbered;
  }
}

/** By the host's own route, which writes only inside its input folder. */
export async function upload(photo, folder) {
  const form = new FormData();
  form.append("image", photo);
  form.append("subfolder", folder);
  form.append("type", "input");
  const answer = await api.fetchApi("/upload/image", { method: "POST", body: form });
  if (!answer.ok) throw new Error(t("{0} could not be uploaded ({1}).", photo.name, answer.status));
}
