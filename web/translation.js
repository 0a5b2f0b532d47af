/* The nodes' texts in the page's language, where the page itself loses them.
 *
 * Frontend 1.32 (ComfyUI 0.3.75) loads a language after the packs' locales/ and puts it in their place; later ones
 * keep both (Comfy-Org/ComfyUI_frontend#7214), and what is set here is what they show already.
 */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";

const CATEGORY = "DreamBooth";
const told = api.getCustomNodesI18n();
let texts = {};

app.registerExtension({
  name: "dreambooth-nodes.translation",
  async beforeRegisterNodeDef(nodeType, definition) {
    if (definition.category !== CATEGORY) return;
    texts = (await told)[app.extensionManager.setting.get("Comfy.Locale")] ?? {};
    const said = texts.nodeDefs?.[definition.name];
    if (said) describe(definition, said);
  },
  nodeCreated(node) {
    const said = texts.nodeDefs?.[node.comfyClass];
    if (said && node.constructor.nodeData.category === CATEGORY) label(node, said);
  },
});

function describe(definition, said) {
  definition.display_name = said.display_name;
  definition.description = said.description;
  for (const inputs of Object.values(definition.input ?? {})) {
    for (const [name, [, options]] of Object.entries(inputs)) {
      if (options && said.inputs?.[name]) options.tooltip = said.inputs[name].tooltip;
    }
  }
  definition.output_tooltips = definition.output.map((_, index) => said.outputs?.[index]?.tooltip);
}

function label(node, said) {
  for (const input of node.inputs ?? []) input.localized_name = said.inputs?.[input.name]?.name ?? input.localized_name;
  for (const widget of node.widgets ?? []) widget.label = said.inputs?.[widget.name]?.name ?? widget.label;
  node.outputs?.forEach((output, index) => {
    const named = output.name === output.type ? texts.dataTypes?.[output.type] : said.outputs?.[index]?.name;
    output.localized_name = named ?? output.localized_name;
  });
}
