/* LoadPersonalizedModel: what was trained here, with its settings, to load or to delete. */

import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { after, onceAFrame } from "../callbacks.js";
import { addPanel, make, setWidget, toast, widgetOf } from "../panel.js";
import { ask } from "../routes.js";
import { t } from "../words.js";
import { facts, settings, thumbnail } from "./subject.js";

const HEIGHT = 260;

export function addHistory(node) {
  const element = addPanel(node, "history", t("What was trained here"), HEIGHT);
  const list = make("ul", { class: "db-list" });
  element.append(list);
  const draw = (found) => {
    const widget = widgetOf(node, "personalized_model");
    // The choices of the page are those of its last refresh; what was trained since is one too.
    if (Array.isArray(widget.options.values)) widget.options.values = found.map((entry) => entry.path);
    if (!widget.value && found.length) setWidget(node, "personalized_model", found[0].path);
    const hint = make("li", { class: "db-hint" }, t("Nothing was trained here yet."));
    list.replaceChildren(...(found.length ? found.map((entry) => row(node, entry, look)) : [hint]));
  };
  const look = onceAFrame(async () => draw(await ask("history")));
  after(widgetOf(node, "personalized_model"), "callback", () => mark(node, list));
  after(node, "onConfigure", look);
  api.addEventListener("dreambooth.saved", look);
  after(node, "onRemoved", () => api.removeEventListener("dreambooth.saved", look));
  look();
}

function row(node, entry, look) {
  const text = make(
    "div",
    { class: "db-text" },
    make("b", { class: "db-trigger" }, entry.trigger),
    make("span", {}, entry.path),
    ...facts(entry).map((line) => make("span", {}, line)),
    entry.status === "finished" ? null : make("span", { class: "db-state" }, states()[entry.status] ?? entry.status),
    make("time", { datetime: entry.trained }, new Date(entry.trained).toLocaleString()),
    make("details", {}, make("summary", {}, t("Settings")), settings(entry)),
  );
  const load = make("button", { type: "button", class: "db-load", onclick: () => setWidget(node, "personalized_model", entry.path) });
  const drop = make("button", { type: "button", class: "db-delete", onclick: () => remove(entry, look) }, t("Delete"));
  drop.setAttribute("aria-label", t("Delete {0}", entry.path));
  const item = make("li", { "data-path": entry.path }, thumbnail(entry), text, make("div", { class: "db-column" }, load, drop));
  label(node, item);
  return item;
}

/** Of a run that has no other result than this. */
function states() {
  return { kept: t("stopped and kept"), stopped: t("cancelled: the same run goes on from here"), failed: t("failed: the last good state"), running: t("still training") };
}

function mark(node, list) {
  for (const item of list.querySelectorAll("[data-path]")) label(node, item);
}

function label(node, item) {
  const is = widgetOf(node, "personalized_model").value === item.dataset.path;
  const load = item.querySelector(".db-load");
  item.classList.toggle("db-chosen", is);
  load.textContent = is ? t("Loaded") : t("Load");
  load.setAttribute("aria-label", t("Load {0}", item.dataset.path));
  load.setAttribute("aria-pressed", is);
}

async function remove(entry, look) {
  const sure = await app.extensionManager.dialog.confirm({
    title: t("Delete this result?"),
    message: t("The file {0} is deleted for good.", entry.path),
    type: "delete",
  });
  if (!sure) return;
  try {
    await ask("delete", { path: entry.path });
  } catch (error) {
    toast("error", error.message);
  }
  look();
}
