"""ComfyUI's face: the flat list of nodes. Each is thin; the work is done in `trainer/`."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from .apply_personalized_model import ApplyPersonalizedModel
from .check_this_machine import CheckThisMachine
from .dreambooth_options import DreamBoothOptions
from .dreambooth_train import DreamBoothTrain
from .export_personalized_model import ExportPersonalizedModel
from .generate_class_priors import GenerateClassPriors
from .load_instance_images import LoadInstanceImages
from .load_personalized_model import LoadPersonalizedModel
from .load_toybase import LoadToyBase
from .measure_fidelity import MeasureFidelity
from .merge_personalized_models import MergePersonalizedModels
from .pick_rare_token import PickRareToken
from .predict_personalized_model import PredictPersonalizedModel
from .resize_personalized_model import ResizePersonalizedModel
from .suggest_class_noun import SuggestClassNoun
from .upscale_personalized import UpscalePersonalized
from .vary_backgrounds import VaryBackgrounds

NODES: list[type[io.ComfyNode]] = [
    LoadInstanceImages,
    SuggestClassNoun,
    PickRareToken,
    GenerateClassPriors,
    VaryBackgrounds,
    DreamBoothOptions,
    DreamBoothTrain,
    ApplyPersonalizedModel,
    LoadPersonalizedModel,
    PredictPersonalizedModel,
    ExportPersonalizedModel,
    ResizePersonalizedModel,
    MergePersonalizedModels,
    UpscalePersonalized,
    MeasureFidelity,
    LoadToyBase,
    CheckThisMachine,
]


class DreamBoothExtension(ComfyExtension):
    """What ComfyUI asks for when it loads the pack."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """All nodes of the pack."""
        return NODES
