"""The seeded CLIP: twelve identity layers, captions in sixteen positions."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F
from transformers import CLIPTextConfig, CLIPTextModel

from dreambooth_nodes.toybase.denoiser import new_denoiser
from dreambooth_nodes.toybase.diffusers_folder import text_config
from dreambooth_nodes.toybase.text_encoder import (
    BASE,
    END,
    LENGTH,
    WIDTH,
    position_embedding,
    seeded_uniform,
    short_context,
    short_ids,
    short_mask,
    text_encoder_tensors,
    token_embedding,
    tokenizer,
)

CAPTIONS = ["", "a red car on the beach", "a photo of a golden teapot under the sea"]


def full_ids() -> torch.Tensor:
    return tokenizer()(CAPTIONS, padding="max_length", max_length=LENGTH, return_tensors="pt").input_ids


def test_layers_are_the_identity() -> None:
    model = CLIPTextModel(CLIPTextConfig(**text_config(BASE))).eval()
    prefix = "" if any(name.startswith("embeddings.") for name in model.state_dict()) else "text_model."
    tensors = {prefix + name: value.float() for name, value in text_encoder_tensors().items()}
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    assert not unexpected and all("position_ids" in name for name in missing)
    with torch.no_grad():
        output = model(full_ids()).last_hidden_state
    expected = F.layer_norm(token_embedding()[full_ids()].float() + position_embedding().float(), (WIDTH,), eps=1e-5)
    torch.testing.assert_close(output, expected, atol=1e-5, rtol=0)


def test_what_can_be_fine_tuned_is_not_dead() -> None:
    tensors = text_encoder_tensors()
    for part in ("self_attn.q_proj", "self_attn.v_proj", "mlp.fc1"):
        assert tensors[f"encoder.layers.5.{part}.weight"].float().std() > 0.01
    assert not torch.equal(*(tensors[f"encoder.layers.{i}.mlp.fc1.weight"] for i in (0, 1)))


def test_short_context_is_the_full_one_to_the_denoiser() -> None:
    torch.manual_seed(0)
    denoiser = new_denoiser().eval()
    ids = torch.tensor([short_ids(caption) for caption in CAPTIONS])
    full = F.layer_norm(token_embedding()[full_ids()].float() + position_embedding().float(), (WIDTH,), eps=1e-5)
    latents, timestep = torch.randn(3, 4, 8, 8), torch.tensor([3, 300, 990])
    with torch.no_grad():
        whole = denoiser(latents, timestep, full).sample
        short = denoiser(latents, timestep, short_context(ids), encoder_attention_mask=short_mask(3)).sample
    torch.testing.assert_close(short, whole, atol=3e-4, rtol=0)


def test_bits_are_the_same_everywhere() -> None:
    values = seeded_uniform("position_embedding", (4,), 1.0)
    assert values.tolist() == pytest.approx(EXPECTED, abs=1e-3)
    assert seeded_uniform("token_embedding", (1000, 100), 0.02).float().std() == pytest.approx(0.02, rel=0.02)


EXPECTED = [-0.85546875, 0.360595703125, 1.4619140625, 0.272705078125]


def test_padding_is_the_end_token() -> None:
    assert short_ids("a dog")[3:] == (END,) * 14
    with pytest.raises(ValueError, match="tokens"):
        short_ids("dog " * 30)
