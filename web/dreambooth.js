/* The pack in ComfyUI's page: a panel on each node that has something to show. */

import { app } from "../../scripts/app.js";
import { foldAdvanced } from "./advanced.js";
import { after } from "./callbacks.js";
import { markOpened, refresh, watchHost } from "./live.js";
import { lookUp, watchOutputs } from "./outputs.js";
import { loadStyle, showAllDigits } from "./panel.js";
import { addCard } from "./panels/card.js";
import { addExport } from "./panels/export.js";
import { addFidelity } from "./panels/fidelity.js";
import { addHistory } from "./panels/history.js";
import { addNouns } from "./panels/nouns.js";
import { addPhotos } from "./panels/photos.js";
import { addPriors } from "./panels/priors.js";
import { addReport } from "./panels/report.js";
import { addTokens } from "./panels/tokens.js";
import { addTraining } from "./panels/training.js";
import { fitTemplate, keepClassicSizes, sortTemplates, takeTemplate } from "./view.js";
import { t } from "./words.js";

const CATEGORY = "DreamBooth";
const PANELS = {
  ApplyPersonalizedModel: addCard,
  CheckThisMachine: addReport,
  DreamBoothTrain: addTraining,
  ExportPersonalizedModel: addExport,
  GenerateClassPriors: (node) => addPriors(node, t("Class images")),
  LoadInstanceImages: addPhotos,
  LoadPersonalizedModel: addHistory,
  MeasureFidelity: addFidelity,
  PickRareToken: addTokens,
  SuggestClassNoun: addNouns,
  VaryBackgrounds: (node) => addPriors(node, t("Other surroundings")),
};

sortTemplates();

app.registerExtension({
  name: "dreambooth-nodes",
  setup() {
    loadStyle();
    watchHost();
    watchOutputs();
    keepClassicSizes();
  },
  nodeCreated(node) {
    if (node.constructor.nodeData?.category !== CATEGORY) return;
    foldAdvanced(node);
    showAllDigits(node);
    after(node, "onAdded", markOpened);
    PANELS[node.comfyClass]?.(node);
  },
  // A page that was loaded in mid-training asks for what it missed.
  afterConfigureGraph() {
    markOpened();
    if (takeTemplate()) fitTemplate();
    refresh();
    lookUp();
  },
});
