"""Predictors at the sizes of Stable Diffusion 1.5 and XL, without weights: shapes through the whole denoiser."""

from __future__ import annotations

import pytest
import torch
from diffusers import UNet2DConditionModel

from dreambooth_nodes.machine_check.full_size import UNETS
from dreambooth_nodes.trainer.instantbooth.predictor import Predictor
from dreambooth_nodes.trainer.instantbooth.shape import PredictorShape, layers_of

WORDS = {"sd1": {"text_encoder": 768}, "sdxl": {"text_encoder": 768, "text_encoder_2": 1280}}
BLOCKS = {"sd1": 16, "sdxl": 70}


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_every_block_of_the_denoiser_is_shown_the_features(family: str) -> None:
    with torch.device("meta"):
        denoiser = UNet2DConditionModel(**UNETS[family])
        predictor = Predictor(PredictorShape(family, layers_of(denoiser), WORDS[family]))
        photos, nouns = torch.zeros(2, 3, 3, 128, 128), {n: torch.zeros(2, w) for n, w in WORDS[family].items()}
        context = torch.zeros(4, 77, UNETS[family]["cross_attention_dim"])
        added = {"text_embeds": torch.zeros(4, 1280), "time_ids": torch.zeros(4, 6)} if family == "sdxl" else None
        noisy, timesteps = torch.zeros(4, 4, 32, 32), torch.zeros(4)
    assert len(predictor.adapters) == BLOCKS[family]
    concept = predictor.encoder(photos, nouns)
    assert {name: rows.shape for name, rows in concept.words.items()} == {
        name: (2, 4, width) for name, width in WORDS[family].items()
    }
    assert concept.patches.shape == (2, 3 * 64, 192)
    calls: list[torch.Size] = []
    for adapter in predictor.adapters.values():
        adapter.register_forward_hook(lambda module, args, output: calls.append(output.shape))
    with torch.no_grad(), predictor.attached(denoiser) as shown:
        shown.patches = concept.patches
        answer = denoiser(noisy, timesteps, context, added_cond_kwargs=added, return_dict=False)[0]
    assert answer.shape == noisy.shape
    # of four rows the first two are shown the features
    assert len(calls) == BLOCKS[family] and {shape[0] for shape in calls} == {2}
